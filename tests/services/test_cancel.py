"""A run that is asked to stop ends within five seconds, whatever it does, and leaves whole batches or nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_cancel, run_start
from ingestions.services.table import table_open
from tests.engine.loader.feed import new_session
from tests.support.csv_files import write_large, write_small

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 5.0
#: long enough for Spark to be in the middle of it when it is interrupted.
ROWS, LARGE_FILES = 1_000_000, 4


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return tmp_path


def make(url: str, folder: Path, table: str, **more: Any) -> Ingestion:
    owner, _ = User.objects.get_or_create(username="owner")
    cluster, _ = Cluster.objects.get_or_create(
        name="c", url=url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02
    )
    config = {
        "name": table,
        "cluster_id": str(cluster.pk),
        "source": {"type": "local", "path": str(folder)},
        "format": {"type": "csv"},
        "destination": {"catalog": "local", "database": "cancelled", "table": table},
        **more,
    }
    return ingestion_create(owner=owner, config=config)[0]


class Worker:
    """A worker in a thread of its own."""

    def __init__(self, ingestion: Ingestion) -> None:
        self.run = run_start(ingestion=ingestion)
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        try:
            while Run.objects.get(pk=self.run.pk).is_active:
                run_work(run_id=str(self.run.pk))
                time.sleep(0.05)
        finally:
            connection.close()

    def until(self, come: Callable[[Run], object], seconds: float = 90) -> Run:
        deadline = time.monotonic() + seconds
        while not come(run := Run.objects.get(pk=self.run.pk)):
            assert run.is_active, (run.status, run.error_message)
            assert time.monotonic() < deadline, run.phase
            time.sleep(0.05)
        return run

    def cancel(self) -> float:
        """Seconds until the run had ended."""
        begun = time.monotonic()
        run_cancel(run=self.run)
        while Run.objects.get(pk=self.run.pk).is_active:
            assert time.monotonic() - begun < 60, "not ended at all"
            time.sleep(0.02)
        return time.monotonic() - begun


def load(ingestion: Ingestion) -> Run:
    return run_to_end(run_id=str(run_start(ingestion=ingestion).pk), timeout=240)


def branches(server: EmbeddedServer, table: str) -> set[str]:
    spark = new_session(server.url)
    spark.sql(f"REFRESH TABLE local.cancelled.{table}")
    return {row["name"] for row in spark.sql(f"SELECT name FROM local.cancelled.{table}.refs").collect()}


@pytest.mark.spark
def test_a_long_write_is_cancelled_without_a_trace_and_loaded_by_the_next_run(
    spark_server: EmbeddedServer, root: Path
) -> None:
    rows = write_small(root, 3)
    ingestion = make(spark_server.url, root, "long_write", format={"type": "csv", "schema": {"hints": {"id": "int"}}})
    assert load(ingestion).rows_done == rows
    with table_open(ingestion=ingestion) as loader:
        before = loader.state()
    assert before is not None
    rows = write_large(root, files=LARGE_FILES, rows=ROWS)
    worker = Worker(ingestion)
    worker.until(lambda run: "writing rows" in run.phase)
    time.sleep(1.5)  # in the middle of it
    assert worker.cancel() < SECONDS
    worker.thread.join(30)
    run = Run.objects.get(pk=worker.run.pk)
    assert (run.status, run.files_loaded, run.error_message) == ("cancelled", 0, "")
    with table_open(ingestion=ingestion) as loader:
        after = loader.state()
    assert after is not None
    assert (after.snapshot_id, after.rows) == (before.snapshot_id, before.rows)
    assert branches(spark_server, "long_write") == {"main"}
    assert set(LedgerEntry.objects.values_list("state", flat=True)) == {"LOADED", "DISCOVERED"}
    assert not Batch.objects.filter(state="open").exists()
    assert not Attempt.objects.filter(swept_at=None).exclude(state="published").exists()
    run = load(ingestion)
    assert (run.status, run.files_loaded, run.rows_done) == ("success", LARGE_FILES, rows)
    assert ledger_verify(ingestion=ingestion).ok


@pytest.mark.spark
def test_a_run_of_several_batches_keeps_the_whole_ones(spark_server: EmbeddedServer, root: Path) -> None:
    write_small(root, 24)
    ingestion = make(spark_server.url, root, "several", limits={"files_per_batch": 2})
    worker = Worker(ingestion)
    worker.until(lambda run: run.batches_done >= 2)
    assert worker.cancel() < SECONDS
    worker.thread.join(30)
    run = Run.objects.get(pk=worker.run.pk)
    assert run.status == "cancelled"
    assert 2 <= run.batches_done < 12
    assert run.files_loaded == run.rows_done == 2 * run.batches_done
    assert ledger_verify(ingestion=ingestion).ok
    assert branches(spark_server, "several") == {"main"}
    rest = load(ingestion)
    assert rest.files_loaded == 24 - run.files_loaded
    assert ledger_verify(ingestion=ingestion).rows_table == 24


@pytest.mark.spark
def test_inferring_types_of_large_files_is_cancelled(spark_server: EmbeddedServer, root: Path) -> None:
    write_large(root, files=LARGE_FILES, rows=ROWS)
    ingestion = make(spark_server.url, root, "inferring")
    worker = Worker(ingestion)
    worker.until(lambda run: "comparing columns" in run.phase)
    assert worker.cancel() < SECONDS
    worker.thread.join(30)
    assert Run.objects.get(pk=worker.run.pk).status == "cancelled"
    assert set(LedgerEntry.objects.values_list("state", flat=True)) == {"DISCOVERED"}


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a cluster that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_cluster_that_hangs_holds_up_no_cancellation(deaf: int, root: Path) -> None:
    write_small(root, 1)
    worker = Worker(make(f"sc://127.0.0.1:{deaf}/", root, "deaf"))
    worker.until(lambda run: Batch.objects.exists())
    time.sleep(0.5)
    assert worker.cancel() < SECONDS
    assert Run.objects.get(pk=worker.run.pk).status == "cancelled"
    worker.thread.join(60)
    assert Run.objects.get(pk=worker.run.pk).status == "cancelled", "its late worker changed nothing"


def test_a_run_that_waits_for_its_next_try_is_cancelled_at_once(root: Path) -> None:
    write_small(root, 1)
    ingestion = make("sc://127.0.0.1:9/", root, "away")
    run = run_start(ingestion=ingestion)
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.resume_at is not None) == ("running", True)
    assert run_cancel(run=run).status == "cancelled"
    assert run.ended_at is not None
