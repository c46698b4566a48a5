"""Prometheus metrics, read from the database when they are asked for.

Several web processes answer, so counting in one of them would be wrong; and totals that are kept anyway cost no scan of
the ledger. No name of a person, an ingestion, a file or a table is a label.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from clusters.models import Cluster
from ingestions.models import AlertDelivery, Heartbeat, Ingestion, Run
from ingestions.services.health import processes_alive, queue


@cache
def version() -> str:
    """The product's version, as pyproject.toml has it."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


class DatabaseCollector(Collector):
    """A handful of aggregates; gauges, because deleting an ingestion takes its numbers away."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "autoloader_build", "This build.", value={"version": version(), "python": platform.python_version()}
        )
        yield _by("autoloader_ingestions", "Ingestions by status.", "status", _counts(Ingestion, Ingestion.Status))
        yield _by("autoloader_runs", "Runs by status.", "status", _counts(Run, Run.Status))
        yield from _totals()
        yield from _queue()
        yield from _processes()
        yield from _breakers()
        yield from _alerts()


def _counts(model: type[Ingestion] | type[Run], statuses: Any) -> dict[str, float]:
    rows = model._default_manager.order_by().values_list("status").annotate(n=Count("pk"))
    return {**dict.fromkeys(statuses.values, 0), **dict(rows)}


def _totals() -> Iterator[Metric]:
    loaded = Ingestion.objects.aggregate(files=Sum("files_loaded"), rows=Sum("rows_loaded"), size=Sum("bytes_loaded"))
    ended = Run.objects.aggregate(failed=Sum("files_failed"), skipped=Sum("files_skipped"))
    waiting = Run.objects.active().aggregate(
        files=Sum(F("files_total") - F("files_loaded") - F("files_failed") - F("files_held")),
        size=Sum(F("bytes_total") - F("bytes_done")),
    )
    states = {"loaded": loaded["files"], "failed": ended["failed"], "skipped": ended["skipped"]}
    yield _by("autoloader_files", "Files by what became of them in their runs.", "state", states)
    yield GaugeMetricFamily("autoloader_rows_loaded", "Rows loaded.", loaded["rows"] or 0)
    yield GaugeMetricFamily("autoloader_loaded_bytes", "Bytes of the files loaded.", loaded["size"] or 0)
    yield GaugeMetricFamily(
        "autoloader_backlog_files", "Files that active runs have yet to load.", waiting["files"] or 0
    )
    yield GaugeMetricFamily(
        "autoloader_backlog_bytes", "Bytes that active runs have yet to load.", waiting["size"] or 0
    )


def _queue() -> Iterator[Metric]:
    state = queue(timezone.now())
    yield GaugeMetricFamily("autoloader_queue_tasks", "Tasks that no worker has taken yet.", state.length)
    yield GaugeMetricFamily("autoloader_queue_oldest_seconds", "How long the oldest one waits.", state.oldest_seconds)


def _processes() -> Iterator[Metric]:
    alive = processes_alive(timezone.now())
    counts = {kind: alive.get(kind, (0, 0.0))[0] for kind in Heartbeat.Kind.values}
    ages = {kind: age for kind, (_, age) in alive.items()}
    yield _by("autoloader_processes_alive", "Processes that beat within the last 30 seconds.", "kind", counts)
    yield _by("autoloader_heartbeat_age_seconds", "Seconds since the last beat of a kind of process.", "kind", ages)


def _breakers() -> Iterator[Metric]:
    clusters = Cluster.objects.aggregate(all=Count("pk"), open=Count("pk", filter=Q(breaker__opened_at__isnull=False)))
    states = {"closed": clusters["all"] - clusters["open"], "open": clusters["open"]}
    yield _by("autoloader_clusters", "Clusters by whether runs may go to them (closed) or wait.", "breaker", states)
    waiting = Run.objects.active().exclude(waits_for="").count()
    yield GaugeMetricFamily("autoloader_runs_waiting", "Active runs that wait for a cluster to answer again.", waiting)


def _alerts() -> Iterator[Metric]:
    rows = AlertDelivery.objects.order_by().values_list("state").annotate(n=Count("pk"))
    states = {**dict.fromkeys(AlertDelivery.State.values, 0), **dict(rows)}
    yield _by(
        "autoloader_alert_deliveries", "Alerts on their way to a recipient, by what became of them.", "state", states
    )
    failing = AlertDelivery.objects.filter(state=AlertDelivery.State.WAITING).exclude(reason="").count()
    yield GaugeMetricFamily("autoloader_alert_deliveries_failing", "Those that wait after a try in vain.", failing)


def _by(name: str, text: str, label: str, values: dict[str, Any]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value or 0)
    return family


def metrics() -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    return generate_latest(registry)
