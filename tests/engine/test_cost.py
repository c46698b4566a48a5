"""The model of cost: it grows with what it should grow with, and shows each factor."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestions.engine import config
from ingestions.engine.cost import Prices, Workload, arrivals, estimate, runs_a_month

PRICES = Prices(workers=2, dbu_per_worker=1.0, dbu_hour=0.4, storage_gb_month=0.023, currency="USD")
WORK = Workload(
    source="s3", format="json", files=1000, bytes=10**9, files_a_month=30_000, bytes_a_month=3e10, runs_a_month=730,
    listings_a_month=730, objects=50_000, polls=False, files_per_batch=1000, bytes_per_batch=10 * 1024**3,
)  # fmt: skip
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_parts_make_the_whole_and_the_range_holds_it() -> None:
    found = estimate(WORK, PRICES)
    parts = found["compute_monthly"] + found["storage_monthly"] + found["discovery_monthly"]
    assert found["total_monthly"] == pytest.approx(parts, abs=0.001)
    assert found["low"] < found["total_monthly"] < found["high"]
    assert found["basis"] == "modelled"
    assert found["compute_per_run"] * WORK.runs_a_month == pytest.approx(found["compute_monthly"], rel=0.01)


def test_each_factor_has_a_value_a_unit_and_a_source() -> None:
    details = estimate(WORK, PRICES)["breakdown_details"]
    assert details["price_dbu_hour"] == {"value": 0.4, "unit": "USD per DBU hour", "source": "cluster"}
    assert details["files_now"]["value"] == 1000
    assert all(set(factor) == {"value", "unit", "source"} and factor["unit"] for factor in details.values())


def test_discovery_is_paid_by_the_request() -> None:
    assert estimate(WORK, PRICES)["discovery_monthly"] == pytest.approx(50 * 730 / 1000 * 0.005, abs=0.001)
    assert estimate(replace(WORK, source="local"), PRICES)["discovery_monthly"] == 0


@given(st.integers(1, 10**6), st.integers(1, 10**12), st.integers(1, 64))
def test_more_data_never_costs_less_and_dearer_clusters_never_less(files: int, size: int, workers: int) -> None:
    small = replace(WORK, files_a_month=files, bytes_a_month=size)
    large = replace(small, files_a_month=files * 2, bytes_a_month=size * 2)
    prices = replace(PRICES, workers=workers)
    assert estimate(large, prices)["total_monthly"] >= estimate(small, prices)["total_monthly"]
    dear = replace(prices, dbu_hour=4.0)
    assert estimate(small, dear)["compute_monthly"] >= estimate(small, prices)["compute_monthly"]


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ({}, 30.44), ({"frequency": "hourly"}, 730.56), ({"frequency": "daily"}, 30.44),
        ({"frequency": "weekly"}, 4.35),
        ({"frequency": "continuous", "poll_seconds": 60}, 43_833.6),
        ({"frequency": "custom", "cron_expression": "0 */6 * * *"}, 121),
    ],
)  # fmt: skip
def test_runs_a_month_are_those_of_the_schedule(schedule: dict[str, Any], runs: float) -> None:
    assert runs_a_month(config.Schedule.model_validate(schedule), NOW) == pytest.approx(runs, abs=1.1)


def test_a_continuous_ingestion_pays_the_cluster_only_when_files_come() -> None:
    polling = replace(WORK, polls=True, runs_a_month=2_600_000, listings_a_month=2_600_000, files_a_month=30)
    assert estimate(polling, PRICES)["compute_monthly"] < 1


def test_arrivals_of_a_young_feed_are_scaled_up() -> None:
    assert arrivals(300, timedelta(days=90)) == pytest.approx(304.4)
    assert arrivals(300, timedelta(days=10)) == pytest.approx(913.2)
    assert arrivals(300, timedelta(hours=1)) == pytest.approx(300 * 30.44)
    assert arrivals(0, None) == 0
