"""The faults of the field, each brought about on a real table. Each time the run ends by itself, the table is as if
nothing had happened, and no branch, lease or table beside it is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from autoloader.lib.errors import TransientError
from clusters.embedded import EmbeddedServer
from ingestions.models import Attempt, Batch, Run, TableLease
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.runs import run_cancel, run_start
from tests.engine.loader.feed import new_session
from tests.services.faults import Died, at_steps, once, raises
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]

FOREIGN = "VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)"


class Faulty(LocalFeed):
    """Two files a batch; ``sql`` is somebody else's session."""

    def __init__(self, folder: Path, server: EmbeddedServer, **config: Any) -> None:
        super().__init__(folder, server.url, limits={"files_per_batch": 2}, **config)
        self.name = f"local.feeds.{self.table}"
        self._server = server

    def files(self, *numbers: int) -> None:
        for number in numbers:
            self.write(f"{number:02}.csv", f"id,name\n{number},x\n")

    def sql(self, *statements: str) -> list[Any]:
        spark = new_session(self._server.url)
        rows: list[Any] = []
        for statement in statements:
            if not statement.startswith(("CREATE", "DROP TABLE")):
                spark.sql(f"REFRESH TABLE {self.name}")
            rows = spark.sql(statement.format(table=self.name)).collect()
        return rows

    def start(self) -> Run:
        return run_start(ingestion=self.ingestion)

    def die(self) -> Run:
        """Starts a run and works on it until the worker dies; its lease has run out then."""
        run = self.start()
        with pytest.raises(Died):
            run_work(run_id=str(run.pk))
        past = timezone.now() - timedelta(seconds=1)
        Run.objects.filter(pk=run.pk).update(lease_expires_at=past)
        TableLease.objects.update(expires_at=past)
        return run

    def end(self, run: Run) -> Run:
        return run_to_end(run_id=str(run.pk), timeout=120)

    def ids(self) -> list[Any]:
        return sorted(row["id"] for row in self.sql("SELECT id FROM {table}"))

    def check(self, *ids: int, foreign: int = 0) -> None:
        """The table holds these rows and ``foreign`` others, the ledger agrees, and nothing is left beside."""
        assert self.ids() == sorted([*ids, *[99] * foreign])
        verified = self.verify()
        assert verified.ok, verified
        self.tidy()

    def tidy(self) -> None:
        refs = {row["name"] for row in self.sql("SELECT name FROM {table}.refs")}
        assert refs == {"main"}
        assert not Run.objects.active().exists()
        assert not Run.objects.exclude(lease_token="", lease_expires_at=None).exists()
        assert not TableLease.objects.exclude(token="", expires_at=None).exists()
        assert not Batch.objects.filter(state="open").exists()
        assert not Attempt.objects.filter(state="open").exists()
        tables = self.sql("SHOW TABLES IN local.feeds")
        assert [row["tableName"] for row in tables if row["tableName"].startswith(self.table)] == [self.table]


@pytest.fixture
def feed(settings: Any, tmp_path: Path, spark_server: EmbeddedServer) -> Faulty:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    made = Faulty(tmp_path / "feed", spark_server)
    made.files(1, 2)
    assert made.run().status == "success"
    made.files(3, 4)
    return made


Patch = pytest.MonkeyPatch


def lost_answer() -> TransientError:
    return TransientError("spark_unavailable", "The Spark cluster could not be reached.")


def test_a_publish_whose_answer_was_lost_and_that_came_through_is_adopted(feed: Faulty, monkeypatch: Patch) -> None:
    at_steps(monkeypatch, after_publish=once(raises(lost_answer())))
    run = feed.run()
    assert (run.status, run.files_loaded, run.rows_done) == ("success", 2, 2)
    assert Batch.objects.get(run=run).detail["adopted"] is True
    feed.check(1, 2, 3, 4)


def test_a_publish_whose_answer_was_lost_and_that_did_not_come_through_is_done_again(
    feed: Faulty, monkeypatch: Patch
) -> None:
    at_steps(monkeypatch, before_publish=once(raises(lost_answer())))
    run = feed.run()
    assert (run.status, run.files_loaded, run.rows_done) == ("success", 2, 2)
    assert "adopted" not in Batch.objects.get(run=run).detail
    feed.check(1, 2, 3, 4)


@pytest.mark.parametrize("step", ["after_open_branch", "after_stage", "after_audit", "after_publish"])
def test_a_branch_of_a_dead_attempt_is_swept_by_whoever_takes_over(feed: Faulty, monkeypatch: Patch, step: str) -> None:
    at_steps(monkeypatch, **{step: once(raises(Died()))})
    run = feed.end(feed.die())
    assert (run.status, run.takeovers, run.files_loaded) == ("success", 1, 2)
    feed.check(1, 2, 3, 4)


def test_the_snapshot_of_the_last_batch_expires_before_anybody_looks_for_it(feed: Faulty, monkeypatch: Patch) -> None:
    """It was published, its worker died, others wrote, and the history was cut down to the last snapshot."""
    at_steps(monkeypatch, after_publish=once(raises(Died())))
    run = feed.die()
    now = datetime.now(UTC).isoformat()
    feed.sql(
        f"INSERT INTO {{table}} {FOREIGN}",
        f"CALL local.system.expire_snapshots(table => 'feeds.{feed.table}', older_than => TIMESTAMP '{now}', "
        "retain_last => 1)",
    )
    assert len(feed.sql("SELECT * FROM {table}.snapshots")) <= 3
    run = feed.end(run)
    assert (run.status, run.files_loaded, run.rows_done) == ("success", 2, 2)
    feed.check(1, 2, 3, 4, foreign=1)


def test_a_lease_that_is_lost_between_staging_and_publishing_publishes_nothing_twice(
    feed: Faulty, monkeypatch: Patch
) -> None:
    """Another worker takes the run over and brings it to its end, while the first one believes that it holds it."""
    run = feed.start()

    def other_worker(_: Any) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Run.objects.filter(pk=run.pk).update(lease_expires_at=past)
        _in_thread(lambda: feed.end(run))

    at_steps(monkeypatch, after_audit=once(other_worker))
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.takeovers, run.files_loaded, run.rows_done) == ("success", 1, 2, 2)
    feed.check(1, 2, 3, 4)


def test_a_run_that_is_cancelled_while_it_publishes_keeps_what_was_published(feed: Faulty, monkeypatch: Patch) -> None:
    feed.files(5, 6)
    run = feed.start()
    at_steps(monkeypatch, before_publish=once(lambda _: run_cancel(run=run)))
    run = feed.end(run)
    assert (run.status, run.files_loaded) == ("cancelled", 2)
    feed.check(1, 2, 3, 4)
    monkeypatch.undo()
    assert feed.run().files_loaded == 2
    feed.check(1, 2, 3, 4, 5, 6)


def test_a_publish_that_loses_to_a_foreign_writer_four_times_comes_through(feed: Faulty, monkeypatch: Patch) -> None:
    at_steps(monkeypatch, before_publish=_first(4, lambda _: feed.sql(f"INSERT INTO {{table}} {FOREIGN}")))
    assert feed.run().status == "success"
    feed.check(1, 2, 3, 4, foreign=4)


def test_a_publish_that_loses_to_a_foreign_writer_five_times_fails_without_a_trace(
    feed: Faulty, monkeypatch: Patch
) -> None:
    at_steps(monkeypatch, before_publish=lambda _: feed.sql(f"INSERT INTO {{table}} {FOREIGN}"))
    run = feed.run()
    assert (run.status, run.error_code, run.files_loaded) == ("failed", "foreign_writer", 0)
    assert feed.states()["03.csv"] == feed.states()["04.csv"] == "DISCOVERED"
    feed.check(1, 2, foreign=5)
    monkeypatch.undo()
    assert feed.run().status == "success"
    feed.check(1, 2, 3, 4, foreign=5)


def _first(times: int, what: Callable[[Any], object]) -> Callable[[Any], object]:
    left = times

    def hook(loader: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            what(loader)

    return hook


def test_two_ingestions_into_one_table_both_come_through(feed: Faulty, tmp_path: Path, spark_server: Any) -> None:
    """At the same moment, in two workers: they take turns at the table, and each row of both is there once."""
    other = Faulty(tmp_path / "other", spark_server, name="other", destination={"table": feed.table})
    other.files(*range(11, 17))
    feed.files(*range(5, 9))
    runs = [feed.start(), other.start()]
    threads = [_thread(partial(feed.end, run)) for run in runs]
    for thread in threads:
        thread.join(150)
    assert {run.status for run in Run.objects.all()} == {"success"}
    feed.check(*range(1, 9), *range(11, 17))
    assert other.verify().ok


def _thread(work: Callable[[], object]) -> threading.Thread:
    def whole() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=whole)
    thread.start()
    return thread


def _in_thread(work: Callable[[], object]) -> None:
    _thread(work).join(120)


# ---- somebody changes the table in the middle of a run


@pytest.mark.parametrize(("step", "left"), [("after_stage", [3, 4, 5, 6]), ("after_publish", [5, 6])])
def test_a_table_that_is_dropped_in_the_middle_of_a_run_is_made_anew_and_what_is_gone_is_told(
    feed: Faulty, monkeypatch: Patch, step: str, left: list[int]
) -> None:
    """What was in it is lost by whoever dropped it. What the run had not published by then is loaded, once."""
    feed.files(5, 6)
    at_steps(monkeypatch, **{step: once(lambda _: feed.sql("DROP TABLE {table}"))})
    run = feed.run()
    assert (run.status, run.files_loaded) == ("success", 4)
    assert "made anew" in run.hint
    assert f"{6 - len(left)} rows that were loaded earlier are gone" in run.hint
    assert feed.ids() == left
    assert not feed.verify().ok, "the ledger against the table tells the same"
    feed.tidy()


@pytest.mark.parametrize("step", ["after_open_branch", "after_stage", "after_publish"])
@pytest.mark.parametrize(
    "change",
    ["ADD COLUMNS (extra string)", "DROP COLUMN name", "ALTER COLUMN id TYPE bigint"],
    ids=["column added", "column dropped", "type changed"],
)
def test_a_table_that_is_altered_in_the_middle_of_a_run_gets_each_row_once(
    feed: Faulty, monkeypatch: Patch, step: str, change: str
) -> None:
    feed.files(5, 6)
    at_steps(monkeypatch, **{step: once(lambda _: feed.sql(f"ALTER TABLE {{table}} {change}"))})
    run = feed.run()
    assert (run.status, run.files_loaded) == ("success", 4)
    feed.check(1, 2, 3, 4, 5, 6)
    names = {row["id"]: row["name"] for row in feed.sql("SELECT id, name FROM {table}")}
    # who drops a column drops what was staged by then; what is staged afterwards brings the column back
    gone = {"after_open_branch": (1, 2)}.get(step, (1, 2, 3, 4)) if "DROP" in change else ()
    assert names == {number: None if number in gone else "x" for number in range(1, 7)}
