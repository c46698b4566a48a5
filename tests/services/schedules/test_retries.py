"""Runs that failed by what may pass are tried again by themselves; the cluster is at an address where nobody is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, DeadlineError, FatalError, TransientError
from ingestions.models import Ingestion, Run
from ingestions.services import present
from ingestions.services.execution import MAX_TRANSIENT_FAILURES, run_work
from ingestions.services.lifecycle import ingestion_pause
from ingestions.services.retries import retry_at, retry_due
from ingestions.services.runs import run_retry, run_start
from tests.services.local_feed import LocalFeed
from tests.services.schedules.support import MINUTE, NOON

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def feed(settings: Any, tmp_path: Path) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    settings.BREAKER_FAILURES = 1000
    feed = LocalFeed(tmp_path / "feed", "sc://127.0.0.1:1")
    feed.write("a.csv", "id\n1\n")
    Ingestion.objects.filter(pk=feed.ingestion.pk).update(status="active")
    return feed


def failed(run: Run) -> Run:
    """Worked on until it gives up: its cluster does not answer."""
    Run.objects.filter(pk=run.pk).update(transient_failures=MAX_TRANSIENT_FAILURES - 1)
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "failed", run.phase
    return run


def fired(feed: LocalFeed) -> Run:
    return run_start(ingestion=feed.ingestion, trigger=Run.Trigger.SCHEDULED, scheduled_for=timezone.now())


def due(run: Run) -> int:
    assert run.retry_at is not None
    return retry_due(run.retry_at)


def test_a_run_of_a_schedule_is_tried_again_after_1_5_and_15_minutes_and_then_no_more(feed: LocalFeed) -> None:
    run = failed(fired(feed))
    for number, minutes in enumerate((1, 5, 15), start=1):
        assert run.retry_at is not None
        assert run.ended_at is not None
        assert abs(run.retry_at - run.ended_at - minutes * MINUTE) < timedelta(seconds=5)
        assert present.run(run)["next_retry_at"] == present.instant(run.retry_at)
        assert retry_due(run.retry_at - timedelta(seconds=1)) == 0
        assert due(run) == 1
        assert due(run) == 0
        again = Run.objects.active().get()
        assert (again.trigger, again.retry_of, again.retry_number) == ("retry", run, number)
        run = failed(again)
    assert run.retry_at is None
    assert Run.objects.count() == 4


def test_a_run_that_a_person_started_is_not_tried_again(feed: LocalFeed) -> None:
    assert failed(run_start(ingestion=feed.ingestion, user=feed.owner)).retry_at is None
    assert failed(run_start(ingestion=feed.ingestion, trigger=Run.Trigger.RETRY, user=feed.owner)).retry_at is None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (TransientError("a", "b"), True),
        (DeadlineError("a", "b"), True),
        (FatalError("a", "b"), False),
        (ConfigError("a", "b"), False),
        (AccessError("a", "b"), False),
        (AutoloaderError("internal", "b"), False),
    ],
)
def test_the_class_of_the_error_decides(feed: LocalFeed, error: AutoloaderError, again: bool) -> None:
    assert (retry_at(fired(feed), error, NOON) is not None) == again


def test_no_retry_of_what_is_paused_or_a_draft(feed: LocalFeed) -> None:
    run = fired(feed)
    Ingestion.objects.update(status="paused")
    assert failed(run).retry_at is None


def test_a_person_who_retries_or_runs_takes_its_place(feed: LocalFeed) -> None:
    run = failed(fired(feed))
    at = run.retry_at
    assert at is not None
    run_retry(run=run, user=feed.owner)
    run.refresh_from_db()
    assert run.retry_at is None
    assert retry_due(at) == 0
    assert Run.objects.count() == 2


def test_pausing_gives_it_up(feed: LocalFeed) -> None:
    run = failed(fired(feed))
    ingestion_pause(ingestion=feed.ingestion, user=feed.owner)
    run.refresh_from_db()
    assert run.retry_at is None
    assert retry_due(timezone.now() + 20 * MINUTE) == 0


def test_the_next_fire_takes_its_place(feed: LocalFeed) -> None:
    run = failed(fired(feed))
    newer = fired(feed)
    run.refresh_from_db()
    assert run.retry_at is None
    assert failed(newer).retry_number == 0


def test_a_clock_that_was_set_back_does_not_put_it_off(feed: LocalFeed) -> None:
    run = failed(fired(feed))
    Run.objects.filter(pk=run.pk).update(retry_at=NOON + timedelta(days=3))
    assert retry_due(NOON) == 1


def test_a_run_that_was_stopped_is_not_tried_again(feed: LocalFeed) -> None:
    from ingestions.services.runs import run_cancel

    run = run_cancel(run=fired(feed))
    assert (run.status, run.retry_at) == ("cancelled", None)
