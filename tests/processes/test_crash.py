"""Whatever is killed, the run ends by itself and the table is exact."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql.connect.session import SparkSession

from autoloader.lib.processes import group_members
from tests.processes.installation import Installation

pytestmark = [pytest.mark.spark, pytest.mark.processes, pytest.mark.timeout(300)]

FILES = 24
ROWS = 20


@pytest.fixture
def installation(tmp_path: Path, spark_server: Any) -> Iterator[Installation]:
    made = Installation(tmp_path, spark_server.url)
    try:
        yield made
    finally:
        made.stop_all()


def _feed(installation: Installation, table: str) -> str:
    for number in range(FILES):
        rows = "".join(f"{number * 1000 + row},name {row}\n" for row in range(ROWS))
        (installation.files / f"part {number:03d}.csv").write_text("id,name\n" + rows)
    config = {
        "name": f"crash {table}",
        "cluster_id": "test",
        "source": {"type": "local", "path": str(installation.files), "file_pattern": "*.csv"},
        "format": {"type": "csv"},
        "destination": {"catalog": "local", "database": "crash", "table": table},
        "limits": {"files_per_batch": 3},
    }
    return installation.create(config)


def _batches_done(installation: Installation, at_least: int) -> bool:
    return bool(installation.query(f"select 1 from ingestions_run where batches_done >= {at_least}"))


def _exact(spark_url: str, table: str) -> None:
    spark = SparkSession.builder.remote(spark_url).create()
    try:
        spark.sql(f"REFRESH TABLE local.crash.{table}")
        counted = spark.sql(f"SELECT _source_file, count(*), count(DISTINCT id) FROM local.crash.{table} GROUP BY 1")
        rows = counted.collect()
        assert len(rows) == FILES
        assert {(row[1], row[2]) for row in rows} == {(ROWS, ROWS)}
        assert [row[0] for row in spark.sql(f"SELECT name FROM local.crash.{table}.refs").collect()] == ["main"]
    finally:
        spark.stop()


def test_a_run_whose_worker_is_killed_is_taken_up_within_60_s_and_ends_exact(
    installation: Installation, spark_server: Any
) -> None:
    ingestion = _feed(installation, "worker_killed")
    installation.start_all()
    run = installation.run(ingestion)
    installation.until("two batches are in", lambda: _batches_done(installation, 2), 120)
    holder = installation.query("select lease_holder from ingestions_run")[0][0]
    os.kill(int(holder.rsplit(":", 1)[1]), signal.SIGKILL)
    taken = "select 1 from ingestions_run where takeovers > 0 or ended_at is not null"
    installation.until("another worker takes the run over", lambda: installation.query(taken), 60)
    assert installation.ended(run) == "success"
    _exact(spark_server.url, "worker_killed")
    assert installation.verified(ingestion)["ok"]


def test_a_killed_worker_parent_leaves_no_orphans_that_take_tasks(
    installation: Installation, spark_server: Any
) -> None:
    ingestion = _feed(installation, "parent_killed")
    installation.start_all()
    run = installation.run(ingestion)
    installation.until("a batch is in", lambda: _batches_done(installation, 1), 120)
    holder = int(installation.query("select lease_holder from ingestions_run")[0][0].rsplit(":", 1)[1])
    parent = installation.processes.pop("worker")
    sentinel = int(Path(f"/proc/{holder}/status").read_text().split("PPid:")[1].split()[0])
    for pid in (parent.pid, sentinel):
        os.kill(pid, signal.SIGKILL)
    parent.wait()
    installation.until("no process of it is left", lambda: not group_members(parent.pid), 15)
    installation.start("worker", "run_worker")
    assert installation.ended(run) == "success"
    _exact(spark_server.url, "parent_killed")


def test_a_run_survives_the_death_of_spark_and_ends_exact(installation: Installation, spark_server: Any) -> None:
    ingestion = _feed(installation, "spark_killed")
    installation.start_all()
    run = installation.run(ingestion)
    installation.until("two batches are in", lambda: _batches_done(installation, 2), 120)
    spark_server.kill()
    spark_server.restart()
    assert installation.ended(run, 180) == "success"
    _exact(spark_server.url, "spark_killed")
    assert installation.verified(ingestion)["ok"]


def test_a_stopped_worker_hands_over_at_a_whole_batch(installation: Installation, spark_server: Any) -> None:
    ingestion = _feed(installation, "worker_stopped")
    installation.start_all()
    run = installation.run(ingestion)
    installation.until("a batch is in", lambda: _batches_done(installation, 1), 120)
    worker = installation.processes.pop("worker")
    worker.terminate()
    assert worker.wait(timeout=30) == 0
    assert installation.query("select lease_expires_at from ingestions_run") == [(None,)]
    installation.start("worker", "run_worker")
    assert installation.ended(run) == "success"
    assert installation.query("select takeovers from ingestions_run") == [(0,)]
    _exact(spark_server.url, "worker_stopped")
