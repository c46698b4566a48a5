from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.services.lifecycle import ingestion_activate
from tests.cast import make_ingestion
from tests.commands.support import manage


def test_the_next_times_of_an_ingestion_are_shown(superuser: User, everybodys: Cluster) -> None:
    row = make_ingestion(superuser, everybodys, schedule={"frequency": "daily", "time": "02:30"})
    ingestion_activate(ingestion=row, user=superuser)
    Ingestion.objects.update(schedule_note="The run of 13:00 was skipped.")
    shown = manage("ingestion", "show", "Orders").out
    assert "every day at 02:30, UTC" in shown
    assert shown.count(", 02:30 (UTC)") == 5
    assert "The run of 13:00 was skipped." in shown
    row.refresh_from_db()
    assert row.next_run_at is not None
    assert f"{row.next_run_at:%Y-%m-%d} 02:30 UTC" in manage("ingestion", "list").out


def test_a_backfill_is_started_with_its_range(feed: Ingestion) -> None:
    done = manage("ingestion", "backfill", "Orders", "--after", "2025-01-01", "--prefix", "eu/", "--json")
    assert done.code == 0, done.err
    run = Run.objects.get(pk=done.json()["run_id"])
    assert run.backfill == {
        "modified_after": "2025-01-01T00:00:00Z",
        "modified_before": None,
        "prefix": "s3://shop/orders/eu/",
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "not said which files"),
        (["--before", "noon"], "--before noon is no time"),
        (["--prefix", "s3://elsewhere/"], "not below the source's path"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(feed: Ingestion, words: list[str], told: str) -> None:
    done = manage("ingestion", "backfill", "Orders", *words)
    assert done.code != 0
    assert told in done.err
    assert not Run.objects.exists()


def test_a_failed_run_says_when_it_is_tried_again(feed: Ingestion) -> None:
    at = timezone.now() + timedelta(minutes=5)
    run = Run.objects.create(ingestion=feed, status="failed", error_message="It is away.", retry_at=at)
    assert f"tried again by itself at {at:%Y-%m-%d %H:%M:%S} UTC" in manage("run", "show", run.pk).out


def test_a_cluster_is_given_a_bound_of_runs(everybodys: Cluster) -> None:
    assert "at most 4 at once" in manage("cluster", "limit", "Warehouse", 4).out
    assert manage("cluster", "show", "Warehouse", "--json").json()["max_runs"] == 4
    assert "as many as there are workers" in manage("cluster", "limit", "Warehouse", 0).out
    done = manage("cluster", "limit", "Warehouse", -1)
    assert done.code != 0
    assert "max_runs" in done.err
