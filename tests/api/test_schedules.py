"""Schedules, retries, backfills and limits as the REST interface shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from tests.api.support import check_problem
from tests.cast import Api, configuration, make_run

pytestmark = pytest.mark.django_db

DAILY = {"frequency": "daily", "time": "02:30", "timezone": "Europe/Berlin"}


def test_an_active_one_shows_its_next_times(as_owner: Api, cluster: Cluster) -> None:
    made = as_owner.post("/ingestions", configuration(cluster, schedule=DAILY)).json()
    assert made["warnings"] == []
    assert made["metadata"]["schedule"] == "every day at 02:30, Europe/Berlin"
    assert (made["metadata"]["next_run_time"], made["metadata"]["next_run_times"]) == (None, []), "a draft"
    shown = as_owner.post(f"/ingestions/{made['id']}/activate").json()["metadata"]
    assert shown["next_run_time"] == shown["next_run_times"][0]
    assert len(shown["next_run_times"]) == 5
    assert shown["next_run_times"] == sorted(set(shown["next_run_times"]))
    paused = as_owner.post(f"/ingestions/{made['id']}/pause").json()["metadata"]
    assert paused["next_run_time"] is None


def test_an_edit_of_the_schedule_moves_the_next_time(as_owner: Api, cluster: Cluster) -> None:
    made = as_owner.post("/ingestions", configuration(cluster, schedule=DAILY)).json()
    as_owner.post(f"/ingestions/{made['id']}/activate")
    edited = as_owner.put(
        f"/ingestions/{made['id']}", {"schedule": {"frequency": "weekly", "weekday": "friday"}}
    ).json()
    assert edited["metadata"]["schedule"] == "every Friday at 02:30, Europe/Berlin"
    by_hand = as_owner.put(f"/ingestions/{made['id']}", {"schedule": {"frequency": None, "weekday": None}}).json()
    assert by_hand["metadata"]["next_run_time"] is None


@pytest.mark.parametrize(
    ("field", "schedule"),
    [
        ("schedule.weekday", {"frequency": "daily", "weekday": "monday"}),
        ("schedule.jitter_seconds", {"frequency": "hourly", "jitter_seconds": 3601}),
        ("schedule.jitter_seconds", {"jitter_seconds": 10}),
        ("schedule.jitter_seconds", {"frequency": "daily", "jitter_seconds": -1}),
        ("schedule.weekday", {"frequency": "weekly", "weekday": "someday"}),
        ("schedule.cron_expression", {"frequency": "custom", "cron_expression": "0 0 31 2 *"}),
        ("schedule.timezone", {"frequency": "daily", "timezone": "Europe/Atlantis"}),
    ],
)
def test_a_schedule_that_cannot_be_followed_names_its_field(
    as_owner: Api, cluster: Cluster, field: str, schedule: dict[str, Any]
) -> None:
    problem = as_owner.post("/ingestions", configuration(cluster, schedule=schedule)).json()
    assert [error["loc"].removeprefix("config.") for error in problem["errors"]] == [field]


def test_a_failed_run_shows_when_it_is_tried_again(as_owner: Api, ingestion: Ingestion) -> None:
    run = make_run(ingestion)
    at = timezone.now() + timedelta(minutes=5)
    Run.objects.filter(pk=run.pk).update(status="failed", retry_at=at, retry_number=1, trigger="retry")
    shown = as_owner.get(f"/ingestions/{ingestion.pk}/runs/{run.pk}").json()
    assert shown["next_retry_at"] == at.isoformat().replace("+00:00", "Z")
    assert shown["retry_number"] == 1


def test_a_backfill_is_a_run_with_its_range(as_runner: Api, ingestion: Ingestion) -> None:
    body = {"modified_after": "2025-01-01T00:00:00+01:00", "prefix": "eu/"}
    accepted = as_runner.post(f"/ingestions/{ingestion.pk}/backfill", body, **{"Idempotency-Key": "k"})
    assert accepted.status_code == 202
    again = as_runner.post(f"/ingestions/{ingestion.pk}/backfill", body, **{"Idempotency-Key": "k"})
    assert again.json() == accepted.json()
    shown = as_runner.get(f"/ingestions/{ingestion.pk}/runs/{accepted.json()['run_id']}").json()
    assert shown["trigger"] == "backfill"
    assert shown["backfill"] == {
        "modified_after": "2024-12-31T23:00:00Z",
        "modified_before": None,
        "prefix": "s3://shop/orders/eu/",
    }
    check_problem(as_runner.post(f"/ingestions/{ingestion.pk}/backfill", {"prefix": "x"}), 409, "run_active")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "modified_after"),
        ({"modified_after": "2025-01-02", "modified_before": "2025-01-01"}, 400, "modified_before"),
        ({"prefix": "s3://other/"}, 400, "prefix"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(
    as_runner: Api, ingestion: Ingestion, body: dict[str, Any], status: int, field: str
) -> None:
    response = as_runner.post(f"/ingestions/{ingestion.pk}/backfill", body)
    assert (response.status_code, response.json()["field"]) == (status, field)
    assert not Run.objects.exists()


def test_others_cannot_backfill(as_stranger: Api, as_reader: Api, ingestion: Ingestion) -> None:
    assert as_stranger.post(f"/ingestions/{ingestion.pk}/backfill", {"prefix": "x"}).status_code == 404
    assert as_reader.post(f"/ingestions/{ingestion.pk}/backfill", {"prefix": "x"}).status_code == 403


def test_a_cluster_has_a_bound_of_runs(as_owner: Api, cluster: Cluster) -> None:
    assert as_owner.get(f"/clusters/{cluster.pk}").json()["max_runs"] is None
    assert as_owner.put(f"/clusters/{cluster.pk}", {"max_runs": 4}).json()["max_runs"] == 4
    assert as_owner.put(f"/clusters/{cluster.pk}", {"max_runs": 0}).json()["max_runs"] is None
    assert as_owner.put(f"/clusters/{cluster.pk}", {"max_runs": -1}).status_code == 422
