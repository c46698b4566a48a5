"""Continuous ingestions: looks that find nothing write nothing, what is found opens one run, and that stays open for as
long as files keep coming."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from autoloader.lib.errors import TransientError
from ingestions.models import Ingestion, LedgerEntry, Listing, Run
from ingestions.services import polling
from ingestions.services.editing import ingestion_update
from ingestions.services.execution import run_work
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause
from ingestions.services.polling import LONGEST_WAIT, PATIENCE, Poller
from ingestions.services.runs import run_cancel, run_start
from ingestions.services.sweeper import sweep
from tests.services.folder_feed import FolderFeed

pytestmark = pytest.mark.django_db(transaction=True)
CONTINUOUS = {"frequency": "continuous", "poll_seconds": 2}


class Feed(FolderFeed):
    """Active, looked at by ``poll``; ``work`` is what a worker does with the run that is queued."""

    def __init__(self, folder: Path, owner: User, poller: Poller, **parts: Any) -> None:
        super().__init__(folder, owner, schedule=CONTINUOUS, **parts)
        self.poller = poller
        self.owner = owner
        ingestion_activate(ingestion=self.ingestion, user=owner)

    def poll(self, later: float = 0) -> int:
        begun = self.poller.look(timezone.now() + timedelta(seconds=later))
        assert self.poller.wait()
        return begun

    def row(self) -> Ingestion:
        return Ingestion.objects.get(pk=self.ingestion.pk)

    def runs(self) -> list[Run]:
        return list(Run.objects.filter(ingestion=self.ingestion).order_by("queued_at"))

    def listed(self) -> None:
        """All that is there is known, and no run is open."""
        self.look()

    def idle(self) -> Run:
        """A run that has loaded all there was, and waits for more."""
        self.poll()
        (run,) = Run.objects.active().filter(ingestion=self.ingestion)
        assert run_work(run_id=str(run.pk))
        run.refresh_from_db()
        assert run.idle_since is not None, (run.status, run.error_code)
        OrmQ.objects.all().delete()
        return run


@pytest.fixture
def poller() -> Iterator[Poller]:
    made = Poller(2)
    yield made
    made.close(10)


@pytest.fixture
def owner() -> User:
    return User.objects.create_superuser("owner", password="x")


@pytest.fixture
def feed(tmp_path: Path, owner: User, poller: Poller, settings: Any) -> Feed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    folder = tmp_path / "in"
    folder.mkdir()
    return Feed(folder, owner, poller)


def tasks() -> int:
    return int(OrmQ.objects.count())


def test_the_first_look_opens_a_run_that_lists_everything(feed: Feed) -> None:
    assert feed.poll() == 1
    (run,) = feed.runs()
    assert (run.trigger, run.status, tasks()) == ("continuous", "queued", 1)


def test_a_look_that_finds_nothing_writes_no_run(feed: Feed) -> None:
    feed.write("_hidden.csv")
    feed.listed()
    before = len(feed.runs())
    now = timezone.now()
    assert feed.poll() == 1
    row = feed.row()
    assert (len(feed.runs()), tasks(), row.poll_failures) == (before, 0, 0)
    assert row.last_polled_at is not None
    assert row.last_polled_at >= now
    assert row.next_poll_at is not None
    assert row.next_poll_at - row.last_polled_at >= timedelta(seconds=2)
    assert feed.poll() == 0  # not before its time
    assert feed.poll(later=3) == 1


@pytest.mark.parametrize("name", ["a.csv", "_hidden.csv", "b.csv.tmp"])
def test_an_object_that_is_not_known_opens_a_run(feed: Feed, name: str) -> None:
    """One that is not to be loaded, too: it gets its state and its reason."""
    feed.listed()
    feed.write(name)
    feed.poll()
    assert [run.trigger for run in feed.runs()][1:] == ["continuous"]
    assert tasks() == 1


def test_a_new_version_of_a_file_is_found(feed: Feed) -> None:
    feed.write("a.csv")
    feed.listed()
    LedgerEntry.objects.update(state="LOADED")
    feed.poll()
    assert tasks() == 0
    feed.write("a.csv", "id\n1\n2\n3\n")
    feed.poll(later=3)
    assert tasks() == 1


def test_files_that_wait_open_a_run(feed: Feed) -> None:
    """Of a run that was cancelled, say."""
    feed.write("a.csv")
    feed.listed()
    feed.poll()
    assert tasks() == 1


def test_many_schedulers_open_one_run(feed: Feed) -> None:
    feed.listed()
    feed.write("a.csv")
    barrier = threading.Barrier(4)

    def look() -> None:
        mine = Poller(1)
        barrier.wait()
        mine.look(timezone.now())
        mine.close(60)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(feed.runs()) == 2
    assert tasks() == 1


def test_a_run_at_work_is_not_looked_past(feed: Feed) -> None:
    run_start(ingestion=feed.ingestion)
    assert feed.poll() == 0


def test_whole_listings_are_left_to_runs(feed: Feed) -> None:
    feed.write("a.csv")
    feed.listed()
    LedgerEntry.objects.update(state="LOADED")
    row = feed.row()
    memory = Listing.objects.get().memory
    Listing.objects.update(memory={**memory, "rules": "others"})
    Ingestion.objects.filter(pk=row.pk).update(next_poll_at=timezone.now())
    feed.poll()
    assert tasks() == 1


# ---- a run that stays open


def test_a_run_that_has_loaded_everything_waits_for_more_without_a_worker(feed: Feed) -> None:
    run = feed.idle()
    assert (run.status, run.lease_token, run.phase) == ("running", "", "waiting for new files")
    assert sweep() == 0
    feed.poll(later=5)
    assert tasks() == 0
    assert len(feed.runs()) == 1


def test_what_comes_then_is_for_the_same_run(feed: Feed) -> None:
    run = feed.idle()
    feed.write("a.csv")
    feed.poll(later=5)
    run.refresh_from_db()
    assert (run.idle_since, run.resume_at, tasks(), len(feed.runs())) == (None, None, 1, 1)


def test_it_ends_when_nothing_has_come_for_a_while(feed: Feed) -> None:
    run = feed.idle()
    assert sweep(now=timezone.now() + timedelta(seconds=61)) == 1
    Run.objects.update(resume_at=None)
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.is_active) == ("success", False)
    assert run.ended_at is not None


def test_it_ends_after_a_long_time_in_any_case(feed: Feed, settings: Any) -> None:
    settings.CONTINUOUS_RUN_SECONDS = 0
    feed.poll()
    (run,) = feed.runs()
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "success"


@pytest.mark.parametrize("act", ["pause", "edit", "delete", "start"])
def test_whoever_acts_does_not_have_to_wait_for_it(feed: Feed, act: str) -> None:
    run = feed.idle()
    match act:
        case "pause":
            ingestion_pause(ingestion=feed.row(), user=feed.owner)
        case "edit":
            ingestion_update(ingestion=feed.row(), changes={"name": "other"}, user=feed.owner)
        case "start":
            assert run_start(ingestion=feed.row(), user=feed.owner).pk != run.pk
        case "delete":
            from ingestions.services.ingestions import ingestion_delete

            ingestion_delete(ingestion=feed.row())
            assert not Run.objects.exists()
            return
    run.refresh_from_db()
    assert (run.status, run.phase) == ("success", "")


def test_a_paused_one_is_not_looked_at(feed: Feed) -> None:
    ingestion_pause(ingestion=feed.row(), user=feed.owner)
    feed.write("a.csv")
    assert feed.poll(later=1000) == 0
    assert feed.runs() == []


def test_a_pause_during_a_look_stands(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.listed()
    feed.write("a.csv")
    wanted = Poller._is_wanted

    def pausing(self: Poller, *given: Any) -> bool:
        found = wanted(self, *given)
        ingestion_pause(ingestion=feed.row(), user=feed.owner)
        return found

    monkeypatch.setattr(Poller, "_is_wanted", pausing)
    feed.poll()
    assert (feed.row().next_poll_at, tasks(), len(feed.runs())) == (None, 0, 1)


def test_one_that_is_edited_while_it_works_ends_with_what_it_has(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.poll()
    (run,) = feed.runs()
    Run.objects.filter(pk=run.pk).update(config={**feed.row().config, "name": "as it was"})
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "success"


def test_one_that_waits_is_cancelled_at_once(feed: Feed) -> None:
    assert run_cancel(run=feed.idle()).status == "cancelled"


# ---- what fails


def test_looks_that_fail_become_fewer_and_then_a_run_says_why(feed: Feed) -> None:
    feed.listed()
    shutil.rmtree(feed.folder)
    waits = []
    for number in range(1, PATIENCE + 1):
        Ingestion.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
        feed.poll()
        row = feed.row()
        assert row.poll_failures == number
        assert str(feed.folder) in row.poll_note
        assert row.next_poll_at is not None
        waits.append(row.next_poll_at - (row.last_polled_at or timezone.now()))
        assert tasks() == (number == PATIENCE)
    assert waits == sorted(set(waits))
    run = feed.runs()[-1]
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "failed"
    assert str(feed.folder) in run.error_message


def test_after_a_run_that_failed_the_next_one_waits_longer_each_time(feed: Feed) -> None:
    feed.listed()
    feed.write("a.csv")
    waits = []
    for _ in range(7):
        Ingestion.objects.update(next_poll_at=timezone.now())
        now = timezone.now()
        Run.objects.create(ingestion=feed.ingestion, trigger="continuous", status="failed", ended_at=now)
        feed.poll()
        assert tasks() == 0
        waits.append((_next(feed) - now).total_seconds())
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    assert LONGEST_WAIT.total_seconds() == 900
    assert feed.poll(later=901) == 1
    Run.objects.update(ended_at=timezone.now() - LONGEST_WAIT)
    Ingestion.objects.update(next_poll_at=timezone.now())
    feed.poll()
    assert tasks() == 1


def test_while_a_retry_waits_no_other_run_is_opened(feed: Feed) -> None:
    feed.listed()
    feed.write("a.csv")
    at = timezone.now() + timedelta(minutes=5)
    times = {"ended_at": timezone.now(), "retry_at": at}
    Run.objects.create(ingestion=feed.ingestion, trigger="continuous", status="failed", **times)
    feed.poll()
    assert tasks() == 0
    assert _next(feed) > at


def test_a_look_whose_scheduler_died_is_taken_up(feed: Feed) -> None:
    feed.listed()
    feed.write("a.csv")
    Ingestion.objects.update(next_poll_at=timezone.now() + polling.HOLD)  # as the dead one has left it
    assert feed.poll() == 0
    assert feed.poll(later=polling.HOLD.total_seconds() + 1) == 1
    assert tasks() == 1


def test_a_source_that_hangs_takes_a_thread_and_nothing_else(
    feed: Feed, tmp_path: Path, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two").mkdir()
    table = {"catalog": "l", "database": "d", "table": "t"}
    other = Feed(tmp_path / "two", owner, feed.poller, name="other", destination=table)
    release = threading.Event()
    look = Poller._look_and_tell

    def hang(self: Poller, row: Ingestion, began: datetime) -> None:
        if row.pk == feed.ingestion.pk:
            release.wait(30)
        look(self, row, began)

    monkeypatch.setattr(Poller, "_look_and_tell", hang)
    feed.poller.look(timezone.now())
    _until(lambda: len(other.runs()) == 1)
    assert feed.runs() == []
    release.set()
    feed.poller.wait()
    assert len(feed.runs()) == 1


def test_a_source_that_answers_again_is_forgiven(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.listed()
    wanted = Poller._is_wanted

    def fail(*given: Any) -> bool:
        raise TransientError("throttled", "Slow down.", "Wait.")

    monkeypatch.setattr(Poller, "_is_wanted", fail)
    feed.poll()
    assert feed.row().poll_note == "Slow down. Wait."
    monkeypatch.setattr(Poller, "_is_wanted", wanted)
    feed.poll(later=10)
    assert (feed.row().poll_failures, feed.row().poll_note) == (0, "")


def _next(feed: Feed) -> datetime:
    at = feed.row().next_poll_at
    assert at is not None
    return at


def _until(done: Callable[[], bool]) -> None:
    gone = threading.Event()
    for _ in range(300):
        if done():
            return
        gone.wait(0.05)
    raise AssertionError("not within 15 s")
