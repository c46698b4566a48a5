"""Faults that only real processes meet: a stop in the middle of a long batch, a zombie, a database that is away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pyspark.sql.connect.session import SparkSession

from tests.processes.installation import Installation
from tests.processes.test_up import CHILDREN, Up
from tests.services.faults import locked
from tests.support.csv_files import write_large, write_small
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

GRACE = 2.0
#: beyond the grace: a look, an interruption, a branch dropped, and the queue's own end; on a slow machine.
BEYOND = 12.0
ROWS, LARGE_FILES = 1_500_000, 4
FILES = 18

Make = Callable[..., Installation]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Installation] = []

    def one(url: str, **variables: str) -> Installation:
        made.append(Installation(tmp_path / f"installation {len(made)}", url, **variables))
        return made[-1]

    yield one
    for each in made:
        each.stop_all()


def config(table: str, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": table,
        "cluster_id": "test",
        "source": {"type": "local", "path": str(folder), "file_pattern": "*.csv"},
        "format": {"type": "csv", "schema": {"hints": {"id": "int"}}},
        "destination": {"catalog": "local", "database": "faults", "table": table},
        **more,
    }


def exact(url: str, table: str, rows: int) -> None:
    spark = SparkSession.builder.remote(url).create()
    try:
        name = f"local.faults.{table}"
        spark.sql(f"REFRESH TABLE {name}")
        files = LARGE_FILES if rows == ROWS else FILES
        counts = [row[0] for row in spark.sql(f"SELECT count(*) FROM {name} GROUP BY _source_file").collect()]
        assert counts == [rows // files] * files
        assert [row[0] for row in spark.sql(f"SELECT name FROM {name}.refs").collect()] == ["main"]
        tables = [row["tableName"] for row in spark.sql("SHOW TABLES IN local.faults").collect()]
        assert [each for each in tables if each.startswith(table)] == [table]
    finally:
        spark.stop()


def nothing_is_held(installation: Installation) -> bool:
    return installation.query("select lease_token, lease_expires_at from ingestions_run") == [
        ("", None)
    ] and installation.query("select count(*) from ingestions_tablelease where token <> ''") == [(0,)]


def writing(installation: Installation) -> None:
    phase = "select 1 from ingestions_run where phase like '%writing rows%'"
    installation.until("rows are written", lambda: installation.query(phase), 120)
    time.sleep(0.5)


# ---- a stop


@pytest.mark.spark
def test_a_worker_that_is_stopped_in_a_long_batch_hands_it_over_within_its_grace(make: Make, spark_server: Any) -> None:
    installation = make(spark_server.url, AUTOLOADER_STOP_SECONDS=str(GRACE))
    write_large(installation.files, files=LARGE_FILES, rows=ROWS)
    ingestion = installation.create(config("stopped", installation.files))
    installation.start_all()
    run = installation.run(ingestion)
    writing(installation)
    begun = time.monotonic()
    worker = installation.processes.pop("worker")
    worker.terminate()
    assert worker.wait(timeout=60) == 0
    assert time.monotonic() - begun < GRACE + BEYOND
    assert nothing_is_held(installation)
    assert installation.query("select status, batches_done from ingestions_run") == [("running", 0)]
    installation.start("worker", "run_worker")
    assert installation.ended(run, 180) == "success"
    assert installation.query("select takeovers from ingestions_run") == [(0,)], "nobody waited for a lease to end"
    exact(spark_server.url, "stopped", ROWS)
    assert installation.verified(ingestion)["ok"]


def test_a_worker_that_is_stopped_while_its_cluster_hangs_gives_the_run_back(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        installation = make(f"sc://127.0.0.1:{deaf.getsockname()[1]}", AUTOLOADER_STOP_SECONDS=str(GRACE))
        write_small(installation.files, FILES)
        installation.run(installation.create(config("deaf", installation.files)))
        installation.start("worker", "run_worker")
        batch = "select 1 from ingestions_run where discovered_at is not null"
        installation.until("it asks the cluster", lambda: installation.query(batch), 60)
        worker = installation.processes.pop("worker")
        begun = time.monotonic()
        worker.terminate()
        worker.wait(timeout=60)
        assert time.monotonic() - begun < GRACE + BEYOND
    assert nothing_is_held(installation)
    assert installation.query("select status from ingestions_run") == [("running",)]
    assert installation.query("select count(*) from django_q_ormq where lock < datetime('now', '+1 minute')") == [(1,)]


@pytest.mark.slow
@pytest.mark.spark
def test_the_whole_installation_stops_in_order_within_the_grace_of_a_long_batch(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    up.env["AUTOLOADER_STOP_SECONDS"] = str(GRACE)
    up.start("--no-sample")
    try:
        write_large(up.data / "files", files=LARGE_FILES, rows=ROWS)
        (tmp_path / "feed.json").write_text(
            json.dumps({**config("up", up.data / "files"), "cluster_id": "Embedded Spark"})
        )
        up.json("ingestion", "create", "-f", str(tmp_path / "feed.json"))
        up.json("ingestion", "run", "up")
        database = sqlite3.connect(up.data / "autoloader.sqlite3", timeout=30)
        deadline = time.monotonic() + 120
        while not database.execute("select 1 from ingestions_run where phase like '%writing rows%'").fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        begun = time.monotonic()
        told = up.stop()
        assert time.monotonic() - begun < GRACE + BEYOND + 10, "and Spark's own end"
        assert [line.split()[0] for line in told.splitlines() if line.endswith("has ended")] == list(CHILDREN)
        assert "is ended now" not in told
        assert database.execute("select status, lease_token from ingestions_run").fetchall() == [("running", "")]
    finally:
        if up.process is not None and up.process.poll() is None:
            up.process.kill()


# ---- a zombie


@pytest.mark.spark
def test_a_zombie_that_wakes_after_its_lease_changes_nothing(make: Make, spark_server: Any) -> None:
    installation = make(spark_server.url, AUTOLOADER_LEASE_SECONDS="4", AUTOLOADER_WORKERS="2")
    write_small(installation.files, FILES)
    ingestion = installation.create(config("zombie", installation.files, limits={"files_per_batch": 3}))
    installation.start_all()
    run = installation.run(ingestion)
    done = "select 1 from ingestions_run where batches_done >= 1"
    installation.until("a batch is in", lambda: installation.query(done), 120)
    zombie = int(installation.query("select lease_holder from ingestions_run")[0][0].rsplit(":", 1)[1])
    _freeze(installation, zombie)
    try:
        assert installation.ended(run) == "success"
        assert installation.query("select takeovers from ingestions_run")[0][0] >= 1
    finally:
        os.kill(zombie, signal.SIGCONT)
    log = installation.folder / "worker.log"
    told = ("worked on by somebody else", "lease lost")
    installation.until("the zombie finds out", lambda: any(word in log.read_text() for word in told), 60)
    exact(spark_server.url, "zombie", FILES)
    assert installation.verified(ingestion)["ok"]
    assert nothing_is_held(installation)


def _freeze(installation: Installation, pid: int) -> None:
    """Stops the process, but not in the middle of a transaction: nobody could write then, on SQLite."""
    path = installation.folder / "data" / "autoloader.sqlite3"
    for _ in range(50):
        os.kill(pid, signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.05)
    raise AssertionError("it always writes")


# ---- a database that is away


SIGN_IN = """
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
user, session = get_user_model().objects.get(), SessionStore()
session["_auth_user_id"], session["_auth_user_hash"] = str(user.pk), user.get_session_auth_hash()
session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
session.create()
print(session.session_key)
"""


@contextlib.contextmanager
def _crashed(server: PostgresServer) -> Iterator[None]:
    server.crash()
    try:
        yield
    finally:
        server.start()


@pytest.mark.spark
@pytest.mark.postgres
def test_everything_outlives_postgresql_being_gone(make: Make, spark_server: Any) -> None:
    server = PostgresServer()
    try:
        url = server.create_database()
        installation = make(spark_server.url, DATABASE_URL=url, AUTOLOADER_LEASE_SECONDS="3")
        _outlives(installation, spark_server.url, "postgres_gone", lambda: _crashed(server), seconds=8, gone=True)
    finally:
        server.stop()


@pytest.mark.spark
def test_everything_outlives_sqlite_being_locked_by_another_process(make: Make, spark_server: Any) -> None:
    """For longer than a writer waits."""
    installation = make(spark_server.url, AUTOLOADER_LEASE_SECONDS="5")
    path = installation.folder / "data" / "autoloader.sqlite3"
    _outlives(installation, spark_server.url, "sqlite_locked", lambda: locked(path), seconds=15, gone=False)


def _outlives(
    installation: Installation,
    spark_url: str,
    table: str,
    away: Callable[[], contextlib.AbstractContextManager[None]],
    *,
    seconds: float,
    gone: bool,
) -> None:
    write_small(installation.files, FILES)
    ingestion = installation.create(config(table, installation.files, limits={"files_per_batch": 3}))
    created = installation.manage("token", "create", "--user", "admin", "--scopes", "write", "--json")
    headers = {"Authorization": f"Bearer {json.loads(created.stdout)['token']}"}
    web = installation.start_web()
    session = {f"autoloader_session_{web.rsplit(':', 1)[1]}": installation.python(SIGN_IN).split()[-1]}
    installation.start_all()
    run = installation.run(ingestion)
    done = "select 1 from ingestions_run where batches_done >= 1"
    installation.until("a batch is in", lambda: installation.query(done), 120)
    before = {name: process.pid for name, process in installation.processes.items()}
    with away():
        begun = time.monotonic()
        answer = requests.post(f"{web}/api/v1/ingestions/{ingestion}/run", json={}, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        if gone:  # who only reads is not held up by a lock
            for path in ("/ingestions/", "/health", "/api/v1/ingestions"):
                answer = requests.get(f"{web}{path}", headers=headers, cookies=session, timeout=60)
                assert answer.status_code == 503, path
                assert "Traceback" not in answer.text
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    assert installation.ended(run) == "success"
    assert {name: process.pid for name, process in installation.processes.items()} == before
    assert all(process.poll() is None for process in installation.processes.values())
    for name in ("worker", "scheduler"):
        log = (installation.folder / f"{name}.log").read_text()
        assert "Traceback" not in log, log[-3000:]
        assert "reincarnated" not in log
    exact(spark_url, table, FILES)
    assert installation.verified(ingestion)["ok"]
    assert nothing_is_held(installation)
    assert requests.get(f"{web}/api/v1/ingestions", headers=headers, timeout=60).status_code == 200
