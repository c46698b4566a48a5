"""Wherever it stops, nothing is doubled or lost, and the next one finishes it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from autoloader.lib.bounded import Bounded, Busy
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run, TableLease
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.lease import claim
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_start
from ingestions.services.store import OrmStore
from ingestions.services.table import table_open
from tests.services.refresh.feed import FILES, Feed, operations

pytestmark = pytest.mark.django_db(transaction=True)
spark = pytest.mark.spark


@spark
@pytest.mark.parametrize("come", ["begun", "dropped", "half forgotten", "forgotten"])
def test_a_full_one_that_stopped_is_finished_by_the_next_run(feed: Feed, come: str) -> None:
    _stop(feed, "full", come)
    run = feed.load()
    assert run.files_loaded == FILES
    feed.check_whole()


@spark
@pytest.mark.parametrize("come", ["begun", "dropped", "half superseded"])
def test_one_of_new_files_that_stopped_is_finished_by_the_next_run(feed: Feed, come: str) -> None:
    _stop(feed, "new_only", come)
    feed.put(9)
    assert feed.load().files_loaded == 1
    assert feed.ids() == [9, 9]
    assert ledger_verify(ingestion=feed.ingestion).ok


@spark
def test_the_same_call_finishes_one_that_stopped(feed: Feed) -> None:
    _stop(feed, "full", "half forgotten")
    outcome = feed.refresh("full")
    assert operations(outcome)[0] == ("table_dropped", "skipped")
    feed.finish()
    feed.check_whole()


def _stop(feed: Feed, mode: str, come: str) -> None:
    """As a process leaves it that was killed there."""
    Ingestion.objects.update(refresh_mode=mode)
    if come != "begun":
        with table_open(ingestion=feed.ingestion) as loader:
            loader.drop_table()
    if "forgotten" in come:
        first = LedgerEntry.objects.order_by("pk")[: 2 if "half" in come else FILES]
        LedgerEntry.objects.filter(pk__in=[each.pk for each in first]).delete()
    if "superseded" in come:
        first = LedgerEntry.objects.order_by("pk")[:2]
        LedgerEntry.objects.filter(pk__in=[each.pk for each in first]).update(state="SUPERSEDED")
    # The dead one held the table's turn; what it left on the cluster is ended by whoever comes next.
    TableLease.objects.update(
        run=None,
        token="refresh 00000000-0000-4000-8000-000000000000 ab",
        expires_at=timezone.now() - timedelta(seconds=1),
    )


@spark
def test_a_batch_that_a_dead_worker_left_is_given_back(feed: Feed) -> None:
    feed.put(9)
    run = run_start(ingestion=feed.ingestion)
    claimed = claim(run_id=str(run.pk))
    assert claimed is not None
    _leave_open(claimed, feed)
    assert Batch.objects.filter(state="open").count() == 1
    Run.objects.filter(pk=run.pk).update(status="cancelled", lease_token="", lease_expires_at=None)
    feed.refresh("full")
    feed.finish()
    assert feed.ids() == [0, 0, 1, 1, 2, 2, 3, 3, 9, 9]
    assert ledger_verify(ingestion=feed.ingestion).ok
    assert not Attempt.objects.filter(state="open").exists()


def _leave_open(run: Run, feed: Feed) -> None:
    """A batch with an open attempt whose branch is there."""
    from ingestions.engine.ledger import NewEntry, State
    from ingestions.engine.sources.base import RemoteFile

    store = OrmStore(run, destination_key=feed.ingestion.destination_key)
    found = (feed.folder / "9.csv").stat()
    file = RemoteFile(
        f"file://{feed.folder}/9.csv", f"{found.st_mtime_ns}-{found.st_size}", found.st_size, timezone.now()
    )
    store.record([NewEntry(file, State.DISCOVERED)])
    batch = store.begin_batch(store.pending(10))
    with table_open(ingestion=feed.ingestion) as loader:
        attempt = store.begin_attempt(batch, session_id=loader.session_id)
        loader.open_branch(attempt.branch)


@spark
def test_while_another_has_the_tables_turn_it_is_begun_and_a_run_waits_for_it(feed: Feed, settings: Any) -> None:
    settings.LEASE_SECONDS = 60  # no holder has it for longer than two of them without renewing it
    TableLease.objects.update(token="somebody", expires_at=timezone.now() + timedelta(seconds=60))
    outcome = feed.refresh("full")
    told = outcome.to_json()
    assert (told["status"], told["run_id"]) == ("partial_failure", None)
    assert [each["error_code"] for each in told["operations"]] == ["turn_taken", None, None]
    assert operations(outcome) == [
        ("table_dropped", "failed"),
        ("processed_files_cleared", "skipped"),
        ("run_triggered", "skipped"),
    ]
    assert any("stays begun" in note for note in told["notes"])
    run = run_start(ingestion=feed.ingestion)
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.resume_at is not None, run.transient_failures) == ("running", True, 0)
    TableLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    Run.objects.update(resume_at=None)
    run_to_end(run_id=str(run.pk), timeout=120)
    feed.check_whole()


@spark
def test_a_web_process_without_a_free_slot_changes_nothing(feed: Feed) -> None:
    bounded, done = Bounded(what="the cluster", slots=1, deadline_seconds=60), threading.Event()
    holder = threading.Thread(target=lambda: bounded.call(lambda: done.wait(60)))
    holder.start()
    with pytest.raises(Busy):
        feed.refresh("full", bounded=bounded)
    done.set()
    holder.join()
    feed.check_whole()
    feed.refresh("full", bounded=bounded)
    feed.finish()
    feed.check_whole()


class Impatient(Bounded):
    """Waits for what is looked at, and not for what is done."""

    def call(self, work: Any) -> Any:
        found = super().call(work)
        self.deadline_seconds = 0.05
        return found


@spark
def test_one_that_takes_too_long_is_told_and_ends_by_itself(feed: Feed) -> None:
    told = feed.refresh("full", bounded=Impatient(what="the cluster", deadline_seconds=60)).to_json()
    assert told["status"] == "partial_failure"
    assert told["operations"][0]["error_code"] == "deadline_exceeded"
    assert any("may still go on by itself" in note for note in told["notes"])
    deadline = time.monotonic() + 60
    while feed.fresh().refresh_mode:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    feed.finish()
    feed.check_whole()
