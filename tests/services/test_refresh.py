"""Dropping a table and loading it again: what it means, what is refused, and that nothing is doubled or lost wherever
it stops."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autoloader.lib.bounded import Bounded, Busy
from autoloader.lib.errors import ConflictError, TransientError
from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run, TableLease
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.ingestions import ingestion_create
from ingestions.services.lease import claim
from ingestions.services.ledger import ledger_verify
from ingestions.services.refresh import ingestion_delete_with_table, ingestion_refresh
from ingestions.services.refresh_impact import impact
from ingestions.services.runs import RunActive, run_start
from ingestions.services.store import OrmStore
from ingestions.services.table import table_open
from tests.engine.loader.feed import new_session

pytestmark = pytest.mark.django_db(transaction=True)
spark = pytest.mark.spark
FILES = 4


class Feed:
    """Files of two rows each, their ingestion, and its table."""

    def __init__(self, folder: Path, url: str, table: str, **more: Any) -> None:
        self.folder, self.url, self.table = folder, url, f"local.refreshed.{table}"
        owner, _ = User.objects.get_or_create(username="owner")
        cluster, _ = Cluster.objects.get_or_create(
            name="c", url=url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02, workers=2
        )
        for number in range(FILES):
            self.put(number)
        config = {
            "name": table,
            "cluster_id": str(cluster.pk),
            "source": {"type": "local", "path": str(folder)},
            "format": {"type": "csv"},
            "destination": {"catalog": "local", "database": "refreshed", "table": table},
            "limits": {"files_per_batch": 3},
            **more,
        }
        self.ingestion = ingestion_create(owner=owner, config=config)[0]

    def put(self, number: int, later: int = 0) -> Path:
        """``later``: another version, as many seconds younger."""
        path = self.folder / f"{number}.csv"
        path.write_text(f"id,name\n{number},a\n{number},{'b' * (later + 1)}\n")
        stamp = path.stat().st_mtime + later
        os.utime(path, (stamp, stamp))
        return path

    def load(self) -> Run:
        run = run_to_end(run_id=str(run_start(ingestion=self.ingestion).pk), timeout=120)
        assert run.status == "success", (run.error_code, run.error_message)
        return run

    def refresh(self, mode: str, **options: Any) -> Any:
        return ingestion_refresh(ingestion=self.fresh(), mode=mode, **options)

    def fresh(self) -> Ingestion:
        return Ingestion.objects.get(pk=self.ingestion.pk)

    def finish(self) -> Run:
        """Works the run that is queued to its end."""
        run = run_to_end(run_id=str(Run.objects.active().get().pk), timeout=120)
        assert run.status == "success", (run.error_code, run.error_message)
        return run

    def ids(self) -> list[int]:
        with table_open(ingestion=self.ingestion) as loader:
            return sorted(int(str(row["id"])) for row in loader.sample_rows(1000)) if loader.state() else []

    def check_whole(self, count: int = FILES) -> None:
        assert self.ids() == sorted([*range(count), *range(count)])
        assert ledger_verify(ingestion=self.ingestion).ok
        row = self.fresh()
        assert (row.files_loaded, row.rows_loaded, row.created_table, row.refresh_mode) == (count, 2 * count, True, "")

    def states(self) -> list[str]:
        return list(LedgerEntry.objects.order_by("pk").values_list("state", flat=True))

    def sql(self, statement: str) -> None:
        new_session(self.url).sql(statement).collect()


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    folder = tmp_path / "feed"
    folder.mkdir()
    return folder


@pytest.fixture
def feed(spark_server: EmbeddedServer, root: Path) -> Feed:
    made = Feed(root, spark_server.url, f"t{uuid.uuid4().hex[:12]}")
    made.load()
    made.check_whole()
    return made


def operations(outcome: Any) -> list[tuple[str, str]]:
    return [(each["operation"], each["status"]) for each in outcome.to_json()["operations"]]


# ---- what it does


@spark
def test_in_full_everything_is_loaded_again(feed: Feed) -> None:
    before = Batch.objects.latest("ended_at").snapshot_id
    outcome = feed.refresh("full")
    told = outcome.to_json()
    assert operations(outcome) == [
        ("table_dropped", "success"),
        ("processed_files_cleared", "success"),
        ("run_triggered", "success"),
    ]
    assert (told["status"], told["mode"], told["run_id"]) == ("accepted", "full", str(Run.objects.active().get().pk))
    assert (told["impact"]["files_to_process"], told["impact"]["files_skipped"]) == (FILES, 0)
    assert told["impact"]["estimated_cost_usd"] > 0 or told["impact"]["estimated_duration_minutes"] < 0.01
    assert any("measured" in note for note in told["notes"])
    assert "8 rows" in told["warnings"][0]
    assert feed.states() == []
    assert ledger_verify(ingestion=feed.ingestion).ok, "an empty ledger beside no table"
    run = feed.finish()
    assert (run.trigger, run.files_loaded) == ("refresh", FILES)
    feed.check_whole()
    assert Batch.objects.latest("ended_at").snapshot_id != before


@spark
def test_with_new_files_only_the_memory_stays(feed: Feed) -> None:
    outcome = feed.refresh("new_only", auto_run=False)
    told = outcome.to_json()
    assert operations(outcome) == [("table_dropped", "success")]
    assert (told["run_id"], told["impact"]["files_to_process"], told["impact"]["files_skipped"]) == (None, 0, FILES)
    assert set(feed.states()) == {"SUPERSEDED"}
    assert "refresh" in LedgerEntry.objects.latest("pk").reason
    assert ledger_verify(ingestion=feed.ingestion).ok
    assert feed.fresh().rows_loaded == 0
    run = feed.load()
    assert (run.files_loaded, feed.ids()) == (0, [])
    feed.put(0, later=60)
    feed.put(9)
    run = feed.load()
    assert (run.files_loaded, feed.ids()) == (2, [0, 0, 9, 9])
    assert ledger_verify(ingestion=feed.ingestion).ok
    assert feed.load().files_loaded == 0


@spark
def test_a_dry_run_changes_nothing(feed: Feed) -> None:
    feed.put(9)
    entries = feed.states()
    told = {mode: feed.refresh(mode, dry_run=True).to_json() for mode in ("full", "new_only")}
    assert [each["operation"] for each in told["full"]["would_perform"]] == [
        "table_dropped",
        "processed_files_cleared",
        "run_triggered",
    ]
    assert [each["operation"] for each in told["new_only"]["would_perform"]] == ["table_dropped", "run_triggered"]
    for mode, name in (("full", "full"), ("new_only", "new-only")):
        assert (told[mode]["status"], told[mode]["run_id"], told[mode]["operations"]) == ("dry_run", None, [])
        assert f"{feed.ingestion.pk}/refresh/{name}" in told[mode]["next_steps"]["to_proceed"]
        assert told[mode]["next_steps"]["to_cancel"]
    assert told["full"]["impact"]["files_to_process"] == FILES + 1
    assert (told["new_only"]["impact"]["files_to_process"], told["new_only"]["impact"]["files_skipped"]) == (1, FILES)
    assert feed.states() == entries
    assert not Run.objects.active().exists()
    feed.check_whole()


@spark
def test_what_was_never_loaded_can_be_refreshed(spark_server: EmbeddedServer, root: Path) -> None:
    feed = Feed(root, spark_server.url, "never_loaded")
    outcome = feed.refresh("full")
    assert operations(outcome)[0] == ("table_dropped", "skipped")
    assert any("assumed" in note or "this cluster" in note for note in outcome.to_json()["notes"])
    feed.finish()
    feed.check_whole()


@spark
def test_an_ingestion_is_deleted_with_its_table(feed: Feed, spark_server: EmbeddedServer) -> None:
    ingestion_delete_with_table(ingestion=feed.fresh())
    assert not Ingestion.objects.exists()
    assert not new_session(spark_server.url).catalog.tableExists(feed.table)


# ---- what is refused


@spark
def test_rows_of_others_are_not_dropped(feed: Feed) -> None:
    feed.sql(
        f"INSERT INTO {feed.table} VALUES (7, 'x', NULL, NULL, NULL, NULL, NULL), (8, 'y', NULL, NULL, 'b', NULL, NULL)"
    )
    for verb in (lambda: feed.refresh("full"), lambda: ingestion_delete_with_table(ingestion=feed.fresh())):
        with pytest.raises(ConflictError, match="holds 2 rows that this ingestion did not write") as refused:
            verb()
        assert refused.value.code == "foreign_rows"
    assert len(feed.ids()) == 2 * FILES + 2
    assert (feed.fresh().refresh_mode, set(feed.states())) == ("", {"LOADED"})


@spark
def test_a_table_that_was_there_before_is_not_dropped(feed: Feed) -> None:
    Ingestion.objects.update(created_table=False)
    feed.sql(f"ALTER TABLE {feed.ingestion.destination_key} UNSET TBLPROPERTIES ('autoloader.ingestion')")
    with pytest.raises(ConflictError, match=f"it holds {2 * FILES} rows") as refused:
        feed.refresh("new_only")
    assert refused.value.code == "table_not_ours"
    assert len(feed.ids()) == 2 * FILES


@spark
def test_a_table_whose_creation_was_not_written_down_is_known_by_its_mark(feed: Feed) -> None:
    """The worker died between the CREATE TABLE and its note of it."""
    Ingestion.objects.update(created_table=False)
    feed.refresh("full")
    feed.finish()
    feed.check_whole()


@spark
def test_files_that_are_gone_are_named_and_their_loss_accepted(feed: Feed) -> None:
    gone = feed.folder / "1.csv"
    gone.unlink()
    with pytest.raises(ConflictError, match="Of the files once loaded 1 would not") as refused:
        feed.refresh("full")
    assert str(gone) in refused.value.message
    assert feed.refresh("new_only", dry_run=True).status == "dry_run", "it loads none of them again anyway"
    assert len(feed.ids()) == 2 * FILES
    outcome = feed.refresh("full", accept_loss=True)
    assert "Of the files once loaded 1 cannot be loaded again" in outcome.to_json()["warnings"][1]
    feed.finish()
    assert feed.ids() == [0, 0, 2, 2, 3, 3]


def test_not_while_a_run_is_active(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "busy")
    run_start(ingestion=feed.ingestion)
    with pytest.raises(RunActive):
        feed.refresh("full")
    with pytest.raises(RunActive):
        ingestion_delete_with_table(ingestion=feed.fresh())


def test_not_while_another_kind_was_begun(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "begun")
    Ingestion.objects.update(refresh_mode="full")
    with pytest.raises(ConflictError, match="was begun and has not ended"):
        feed.refresh("new_only")


def test_a_cluster_that_is_away_changes_nothing(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "away")
    with pytest.raises(TransientError):
        feed.refresh("full", bounded=Bounded(what="the cluster"))
    assert feed.fresh().refresh_mode == ""


# ---- wherever it stops


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
def test_while_another_has_the_tables_turn_it_is_begun_and_a_run_waits_for_it(feed: Feed) -> None:
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


# ---- what it means


def test_the_impact_counts_what_a_run_would_load(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "impact", source={
        "type": "local", "path": str(root), "file_pattern": "*.csv", "exclude_pattern": "3*", "settle_seconds": 3600,
    })  # fmt: skip
    (root / "other.txt").write_text("no")
    (root / "_hidden.csv").write_text("id\n1\n")
    found = impact(ingestion=feed.ingestion, mode="full")
    assert (found.files_to_process, found.lost) == (3, 0)
    assert found.bytes_to_process == sum((root / f"{number}.csv").stat().st_size for number in range(3))


def test_time_and_money_come_from_earlier_batches_or_are_called_assumed(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "cost")
    with (root / "large.csv").open("wb") as file:
        file.truncate(60_000_000)
    found = impact(ingestion=feed.ingestion, mode="full")
    assert found.minutes == pytest.approx(3 / 60, rel=0.01)  # 60 MB at 10 MB/s for each of 2 workers
    assert found.cost == pytest.approx(3 / 3600 * 2 * 0.4, rel=0.01)
    assert "assumed, 20 MB/s" in found.notes[0]
    now = timezone.now()
    run = Run.objects.create(ingestion=feed.ingestion, status="success")
    batch = Batch.objects.create(
        ingestion=feed.ingestion, run=run, destination_key=feed.ingestion.destination_key, number=1, state="loaded",
        bytes=1_000_000, ended_at=now,
    )  # fmt: skip
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(seconds=1))
    found = impact(ingestion=feed.ingestion, mode="full")
    assert found.minutes == pytest.approx(1, rel=0.01)
    assert "1 MB/s in the last batch of this ingestion" in found.notes[0]
