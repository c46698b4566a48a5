"""A continuous ingestion with real processes: files are loaded as they come, by one run, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql.connect.session import SparkSession

from clusters.embedded import EmbeddedServer
from tests.processes.installation import Installation

pytestmark = [pytest.mark.spark, pytest.mark.processes, pytest.mark.timeout(420)]

TABLE = "local.continuous.feed"
ACT = (
    "from ingestions.models import Ingestion as I; from ingestions.services.lifecycle import *; row = I.objects.get();"
)


@pytest.fixture
def installation(spark_server: EmbeddedServer, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "installation", spark_server.url)
    yield made
    made.stop_all()


def test_files_are_loaded_as_they_come_by_one_run_until_it_is_paused(
    installation: Installation, spark_server: EmbeddedServer
) -> None:
    feed = installation.create(
        {
            "name": "feed",
            "cluster_id": "test",
            "source": {"type": "local", "path": str(installation.files), "file_pattern": "*.csv"},
            "format": {"type": "csv", "schema": {"hints": {"id": "int"}}},
            "destination": {"catalog": "local", "database": "continuous", "table": "feed"},
            "schedule": {"frequency": "continuous", "poll_seconds": 1},
        }
    )
    for name in ("scheduler", "another"):
        installation.start(name, "run_scheduler", "--tick", "0.2")
    installation.start("worker", "run_worker")
    installation.python(ACT + " ingestion_activate(ingestion=row, user=row.owner)")
    for number in range(3):
        arrive(installation, number)
    installation.kill("scheduler")
    arrive(installation, 3)
    installation.kill("worker")
    installation.start("worker", "run_worker")
    arrive(installation, 4)
    assert installation.query('SELECT count(*), max("trigger") FROM ingestions_run') == [(1, "continuous")]
    installation.python(ACT + " ingestion_pause(ingestion=row, user=row.owner)")
    installation.until("the run has ended", lambda: active(installation) == 0, 30)
    assert installation.query("SELECT status, files_loaded, rows_done FROM ingestions_run") == [("success", 5, 5)]
    (installation.files / "late.csv").write_text("id\n9\n")
    assert installation.verified(feed)["ok"]
    spark = SparkSession.builder.remote(spark_server.url).create()
    try:
        assert sorted(row[0] for row in spark.sql(f"SELECT id FROM {TABLE}").collect()) == [0, 1, 2, 3, 4]
    finally:
        spark.stop()
    assert active(installation) == 0


def arrive(installation: Installation, number: int) -> None:
    """A file, and then its row in the table."""
    (installation.files / f"{number}.csv").write_text(f"id\n{number}\n")
    loaded = "SELECT count(*) FROM ingestions_ledgerentry WHERE state = 'LOADED'"
    installation.until(f"file {number} is in", lambda: installation.query(loaded) == [(number + 1,)], 90)
    idle = "SELECT count(*) FROM ingestions_run WHERE idle_since IS NOT NULL"
    installation.until("the run waits for more", lambda: installation.query(idle) == [(1,)], 30)


def active(installation: Installation) -> int:
    return int(installation.query("SELECT count(*) FROM ingestions_run WHERE ended_at IS NULL")[0][0])
