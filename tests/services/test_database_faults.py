"""A database that is locked, gone or full; a clock that goes backwards; a queue that delivers twice. No run is lost.
None of them needs a cluster: files of no bytes are skipped."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from ingestions.engine.run import run_slice
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.queue import PatientBroker
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.lease import claim
from ingestions.services.runs import run_start
from ingestions.services.sweeper import sweep
from ingestions.tasks import work
from tests.cast import Api, caller
from tests.services.faults import database, locked
from tests.services.local_feed import LocalFeed

pytestmark = pytest.mark.django_db(transaction=True)
FILES = 1500
SLICE = "ingestions.services.execution.run_slice"


@pytest.fixture
def sqlite() -> str:
    """The database's file."""
    if connection.vendor != "sqlite":
        pytest.skip("a fault of SQLite; tests/processes has the like for PostgreSQL")
    return str(connection.settings_dict["NAME"])


@pytest.fixture
def feed(settings: Any, tmp_path: Path) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    made = LocalFeed(tmp_path / "feed", "sc://127.0.0.1:1")
    made.write("empty.csv", "")
    return made


def started(feed: LocalFeed) -> Run:
    run = run_start(ingestion=feed.ingestion)
    OrmQ.objects.all().delete()
    return run


def ended(run: Run) -> Run:
    Run.objects.exclude(resume_at=None).update(resume_at=timezone.now())
    return run_to_end(run_id=str(run.pk), timeout=60)


def test_a_run_outlives_a_database_that_another_process_has_locked(feed: LocalFeed, sqlite: str) -> None:
    run = started(feed)
    with database(timeout=0.1), locked(sqlite):
        run_work(run_id=str(run.pk))  # and does not raise: the worker lives on
    assert Run.objects.get(pk=run.pk).status == "queued"
    assert ended(run).status == "success"


def test_a_run_outlives_a_lock_in_the_middle_of_it(
    feed: LocalFeed, sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(feed)
    with database(timeout=0.1), monkeypatch.context() as patch:

        def meets_a_lock(*args: Any, **kwargs: Any) -> Any:
            with locked(sqlite):
                return run_slice(*args, **kwargs)

        patch.setattr(SLICE, meets_a_lock)
        run_work(run_id=str(run.pk))
    stands = Run.objects.get(pk=run.pk)
    assert (stands.is_active, stands.error_code) == (True, "")
    assert "The database did not answer: database is locked" in stands.phase
    assert ended(run).status == "success"


def test_a_run_outlives_a_disk_that_is_full(feed: LocalFeed, sqlite: str) -> None:
    for number in range(FILES):
        feed.write(f"{number}.csv", "")
    run = started(feed)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
    begin = connection.settings_dict["OPTIONS"]["init_command"]
    with database(init_command=f"{begin} PRAGMA max_page_count={pages + 20};"):
        run_work(run_id=str(run.pk))
    stands = Run.objects.get(pk=run.pk)
    assert (stands.is_active, stands.lease_token) == (True, "")
    assert "database or disk is full" in stands.phase
    assert LedgerEntry.objects.count() < FILES
    run = ended(run)
    assert (run.status, run.files_skipped) == ("success", FILES + 1)
    assert LedgerEntry.objects.count() == FILES + 1


def test_the_process_that_takes_tasks_lives_on_while_the_database_is_away(feed: LocalFeed, sqlite: str) -> None:
    run_start(ingestion=feed.ingestion)
    broker = PatientBroker()
    broker.list_key = "autoloader"
    task = OrmQ.objects.get()
    with database(timeout=0.1), locked(sqlite):
        assert broker.dequeue() is None
        broker.acknowledge(task.pk)
    assert OrmQ.objects.count() == 1
    ((taken, _),) = broker.dequeue()
    assert taken == task.pk
    broker.acknowledge(taken)
    assert not OrmQ.objects.exists()


@pytest.fixture
def faces(feed: LocalFeed) -> tuple[Client, Api]:
    """A browser and a token of the owner; faults are answered as they are to everybody."""
    ingestion = feed.ingestion
    browser, api = Client(raise_request_exception=False), caller(ingestion.owner, "write")
    browser.force_login(ingestion.owner)
    api.client.raise_request_exception = False
    return browser, api


def test_pages_and_answers_say_that_the_database_is_locked(
    feed: LocalFeed, sqlite: str, faces: tuple[Client, Api]
) -> None:
    browser, api = faces
    with database(timeout=0.1), locked(sqlite):
        page = browser.post(f"/ingestions/{feed.ingestion.pk}/run/")
        answer = api.post(f"/ingestions/{feed.ingestion.pk}/run", {})
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert b"The database does not answer" in page.content
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer["Retry-After"] == "5"
    assert not Run.objects.exists()


@pytest.mark.parametrize("path", ["/", "/ingestions/", "/runs/", "/clusters/", "/admin/", "/signin/"])
def test_pages_say_that_the_database_is_gone(path: str, sqlite: str, faces: tuple[Client, Api]) -> None:
    browser, _ = faces
    with database(NAME="/nowhere/at/all.sqlite3"):
        page = browser.get(path, follow=True)
    assert page.status_code == 503
    assert b"The database does not answer" in page.content
    assert b"Traceback" not in page.content


@pytest.mark.parametrize("path", ["/api/v1/ingestions", "/api/v1/clusters", "/metrics", "/health"])
def test_answers_say_that_the_database_is_gone(path: str, sqlite: str, faces: tuple[Client, Api]) -> None:
    _, api = faces
    with database(NAME="/nowhere/at/all.sqlite3"):
        answer = api.client.get(path, headers=api.headers)
    assert answer.status_code == 503
    document = answer.json()
    assert document.get("code") == "database_unavailable" or document["checks"]["database"]["ok"] is False


def test_a_clock_that_is_set_back_holds_up_no_run(feed: LocalFeed) -> None:
    """Its worker is dead; all that was written down of it lies an hour ahead of now."""
    run = started(feed)
    held = claim(run_id=str(run.pk))
    assert held is not None
    ahead = timezone.now() + timedelta(hours=1)
    Run.objects.update(lease_expires_at=ahead, enqueued_at=ahead)
    assert sweep() == 1
    assert ended(run).status == "success"


@pytest.mark.parametrize("what", ["task", "wait"])
def test_a_clock_that_is_set_back_loses_no_run_that_waits(feed: LocalFeed, what: str) -> None:
    run = run_start(ingestion=feed.ingestion)
    ahead = timezone.now() + timedelta(hours=1)
    if what == "task":
        OrmQ.objects.update(lock=ahead)
        Run.objects.update(enqueued_at=ahead)
    else:
        Run.objects.update(status="running", resume_at=ahead, enqueued_at=ahead)
    assert sweep() == 1
    assert sweep() == 0
    assert ended(run).status == "success"


def test_a_task_that_the_queue_delivers_again_does_nothing(feed: LocalFeed) -> None:
    run = started(feed)
    work(str(run.pk))
    first = Run.objects.get(pk=run.pk)
    assert first.status == "success"
    work(str(run.pk))
    again = Run.objects.get(pk=run.pk)
    assert (again.slices, again.ended_at, again.files_skipped) == (1, first.ended_at, 1)


def test_a_task_that_is_delivered_again_while_its_run_goes_on_disturbs_nobody(
    feed: LocalFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(feed)

    def delivered_again(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(SLICE, run_slice)
        work(str(run.pk))
        return run_slice(*args, **kwargs)

    monkeypatch.setattr(SLICE, delivered_again)
    work(str(run.pk))
    stands = Run.objects.get(pk=run.pk)
    assert (stands.status, stands.slices, stands.takeovers) == ("success", 1, 0)


def test_two_schedulers_put_each_run_into_the_queue_once(feed: LocalFeed, tmp_path: Path) -> None:
    ingestions: list[Ingestion] = [LocalFeed(tmp_path / f"f{n}", "").ingestion for n in range(8)]
    for ingestion in ingestions:
        run_start(ingestion=ingestion)
    OrmQ.objects.all().delete()
    Run.objects.update(status="running", resume_at=timezone.now() - timedelta(seconds=1))
    found: list[int] = []
    start = threading.Barrier(4)

    def schedule() -> None:
        try:
            start.wait(30)
            found.append(sweep())
        finally:
            connection.close()

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(found) == len(ingestions)
    assert sorted(task.task["args"][0] for task in OrmQ.objects.all()) == sorted(
        str(pk) for pk in Run.objects.values_list("pk", flat=True)
    )
