"""What an ingestion costs, by a model: each factor stands in the answer with its unit and where it comes from.

The model's own figures are assumptions, measured on small machines; a real cluster may be twice as fast or half as
fast, which is what ``low`` and ``high`` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from cronsim import CronSim

from ingestions.engine import config

DAYS_A_MONTH = 30.44
GB = 1_000_000_000
#: seconds that a run takes whatever it loads: a session, the listing, comparing columns.
SECONDS_A_RUN = 3.0
#: seconds to stage, audit and publish a batch, its rows aside.
SECONDS_A_BATCH = 1.5
#: seconds to open and close one file of a bucket, spread over a worker's cores.
SECONDS_A_FILE = 0.002
#: bytes a worker reads, converts and writes a second.
BYTES_A_SECOND = {
    "parquet": 80_000_000, "orc": 80_000_000, "avro": 50_000_000, "json": 30_000_000, "csv": 40_000_000,
    "xml": 8_000_000, "text": 60_000_000, "binary": 80_000_000,
}  # fmt: skip
#: bytes in the table for a byte of source, text not gzipped.
STORED = {"parquet": 1.0, "orc": 1.0, "avro": 0.8, "json": 0.12, "csv": 0.25, "xml": 0.1, "text": 0.3, "binary": 1.0}
#: price of 1,000 listing requests, in dollars as the stores publish it, each for up to 1,000 objects.
LIST_PRICE = {"s3": 0.005, "azure_blob": 0.005, "gcs": 0.005, "local": 0.0}
UNCERTAINTY = 2.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What there is to load now (``files``, ``bytes``), what comes in a month, and how often it is looked at. Sizes are
    as the store tells them. ``objects``: all that a listing passes over.
    """

    source: str
    format: str
    files: int
    bytes: int
    files_a_month: float
    bytes_a_month: float
    runs_a_month: float
    listings_a_month: float
    objects: int
    polls: bool  # the source is looked at all the time, and the cluster works only when files have come
    files_per_batch: int
    bytes_per_batch: int


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a cluster; money in its currency."""

    workers: int
    dbu_per_worker: float
    dbu_hour: float
    storage_gb_month: float
    currency: str

    @property
    def hour(self) -> float:
        return self.workers * self.dbu_per_worker * self.dbu_hour


def arrivals(recent: float, oldest_age: timedelta | None, window: timedelta = timedelta(days=30)) -> float:
    """What comes in a month, from what came in the last ``window``; a feed younger than that is scaled up, one younger
    than a day counts as a day old."""
    if oldest_age is None:
        return 0.0
    span = min(max(oldest_age, timedelta(days=1)), window)
    return recent * (DAYS_A_MONTH * 86_400 / span.total_seconds())


def runs_a_month(schedule: config.Schedule, now: datetime) -> float:
    """Runs that a schedule asks for; a continuous one looks every ``poll_seconds``, and a manual one is taken for one
    that is run once a day."""
    month = DAYS_A_MONTH * 86_400
    if schedule.frequency == "custom" and schedule.cron_expression:
        until = now + timedelta(days=DAYS_A_MONTH)
        fires = CronSim(schedule.cron_expression, now)
        return float(sum(1 for _ in takewhile(lambda at: at <= until, fires)))
    seconds_between = {"continuous": schedule.poll_seconds, "hourly": 3600, "weekly": 7 * 86_400}
    return month / seconds_between.get(schedule.frequency or "", 86_400)


def seconds(work: Workload, prices: Prices, files: float, size: float, runs: float) -> float:
    """Time on the cluster for so many files and bytes in so many runs."""
    batches = max(runs if files else 0.0, files / work.files_per_batch, size / work.bytes_per_batch)
    rate = BYTES_A_SECOND.get(work.format, BYTES_A_SECOND["json"]) * prices.workers
    return runs * SECONDS_A_RUN + batches * SECONDS_A_BATCH + files * SECONDS_A_FILE / prices.workers + size / rate


def estimate(work: Workload, prices: Prices) -> dict[str, Any]:
    """REST's answer: money in the cluster's currency, ``basis`` ``modelled``, each factor with unit and source."""
    once = seconds(work, prices, work.files, work.bytes, 1)
    runs = min(work.runs_a_month, work.files_a_month) if work.polls else work.runs_a_month
    monthly = seconds(work, prices, work.files_a_month, work.bytes_a_month, runs)
    usual = monthly / runs if runs else once
    compute_per_run = prices.hour * usual / 3600
    compute_monthly = prices.hour * monthly / 3600
    stored = (work.bytes + work.bytes_a_month) * STORED.get(work.format, 1.0)
    storage = stored / GB * prices.storage_gb_month
    pages = max(1, -(-work.objects // 1000))
    discovery = pages * work.listings_a_month / 1000 * LIST_PRICE.get(work.source, 0.0)
    total = compute_monthly + storage + discovery
    return {
        "compute_per_run": round(compute_per_run, 6),
        "compute_monthly": round(compute_monthly, 4),
        "storage_monthly": round(storage, 4),
        "discovery_monthly": round(discovery, 4),
        "total_monthly": round(total, 4),
        "low": round(total / UNCERTAINTY, 4),
        "high": round(total * UNCERTAINTY, 4),
        "basis": "modelled",
        "currency": prices.currency,
        "first_run": {"seconds": round(once, 1), "compute": round(prices.hour * once / 3600, 6)},
        "breakdown_details": _factors(work, prices, stored, pages),
    }


def _factors(work: Workload, prices: Prices, stored: float, pages: int) -> dict[str, dict[str, Any]]:
    money = prices.currency

    def factor(value: float, unit: str, source: str) -> dict[str, Any]:
        return {"value": round(value, 6), "unit": unit, "source": source}

    rate = BYTES_A_SECOND.get(work.format, BYTES_A_SECOND["json"])
    return {
        "workers": factor(prices.workers, "workers", "cluster"),
        "dbu_per_worker": factor(prices.dbu_per_worker, "DBU per worker and hour", "cluster"),
        "price_dbu_hour": factor(prices.dbu_hour, f"{money} per DBU hour", "cluster"),
        "price_storage": factor(prices.storage_gb_month, f"{money} per GB and month", "cluster"),
        "files_now": factor(work.files, "files", "listing"),
        "bytes_now": factor(work.bytes, "bytes", "listing"),
        "files_a_month": factor(work.files_a_month, "files per month", "listing"),
        "bytes_a_month": factor(work.bytes_a_month, "bytes per month", "listing"),
        "runs_a_month": factor(work.runs_a_month, "runs per month", "schedule"),
        "listings_a_month": factor(work.listings_a_month, "listings per month", "schedule"),
        "requests_a_listing": factor(pages, "requests per listing", "listing"),
        "price_list_requests": factor(
            LIST_PRICE.get(work.source, 0.0), "USD per 1,000 requests", "the store's published price"
        ),
        "seconds_a_run": factor(SECONDS_A_RUN, "seconds per run", "model"),
        "seconds_a_batch": factor(SECONDS_A_BATCH, "seconds per batch", "model"),
        "seconds_a_file": factor(SECONDS_A_FILE, "seconds per file and worker", "model"),
        "bytes_a_second": factor(rate, "bytes per second and worker", "model"),
        "stored_share": factor(STORED.get(work.format, 1.0), "bytes in the table per byte of source", "model"),
        "stored_bytes": factor(stored, "bytes in the table after a month", "model"),
        "uncertainty": factor(UNCERTAINTY, "times, for low and high", "model"),
    }
