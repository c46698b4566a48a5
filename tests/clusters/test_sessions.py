"""The pool of Spark sessions, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

from autoloader.lib.errors import AutoloaderError, TransientError
from clusters.embedded import EmbeddedServer, start_server
from clusters.sessions import SessionPool, Target, interrupt, pool

pytestmark = pytest.mark.spark

NewPool = Callable[..., SessionPool]


class Clock:
    """Monotonic seconds that only tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def new_pool() -> Iterator[NewPool]:
    pools = []

    def make(**changes: Any) -> SessionPool:
        made = SessionPool(**{"size": 2, "idle_seconds": 600, "max_age_seconds": 3600, "wait_seconds": 0.2, **changes})
        pools.append(made)
        return made

    yield make
    for each in pools:
        each.close()


@pytest.fixture
def target(spark_server: EmbeddedServer) -> Target:
    return Target(spark_server.url)


def test_a_session_is_reused_by_the_next_lease(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool()
    with sessions.lease(target) as one:
        first = one.session_id
    with sessions.lease(target) as two:
        assert two.session_id == first
        assert two.spark.sql("SELECT 1").collect()[0][0] == 1
    assert sessions.stats()["opened"] == 1
    assert sessions.stats()["reused"] == 1


def test_a_lease_is_exclusive_and_the_wait_for_one_ends_clearly(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool()
    with sessions.lease(target) as one, sessions.lease(target) as two:
        assert one.session_id != two.session_id
        with pytest.raises(TransientError, match="All 2 Spark sessions") as raised, sessions.lease(target):
            pass
        assert "SPARK_SESSION_POOL_SIZE" in raised.value.hint


def test_a_waiting_lease_gets_the_place_that_comes_free(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool(size=1, wait_seconds=20)
    got = threading.Event()

    def wait() -> None:
        with sessions.lease(target):
            got.set()

    with sessions.lease(target):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not got.wait(0.3)
    assert got.wait(20)
    waiting.join()


def test_a_lease_leaves_nothing_behind_for_the_next(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool(size=1)
    secret = {"spark.hadoop.fs.s3a.secret.key": "very-secret", "spark.sql.shuffle.partitions": "7"}
    with sessions.lease(target, timezone="Asia/Tokyo", conf=secret) as one:
        assert one.spark.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
        one.spark.range(3).createOrReplaceTempView("left_over")
        one.spark.conf.set("spark.sql.caseSensitive", "true")
        one.spark.addTag("mine")
        first = one.session_id
    with sessions.lease(target) as two:
        assert two.session_id == first
        assert two.spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert two.spark.conf.get("spark.hadoop.fs.s3a.secret.key", "gone") == "gone"
        assert two.spark.conf.get("spark.sql.shuffle.partitions") != "7"
        assert two.spark.conf.get("spark.sql.caseSensitive") == "false"
        assert two.spark.conf.get("spark.sql.ansi.enabled") == "false"
        assert [table.name for table in two.spark.catalog.listTables()] == []
        assert two.spark.getTags() == set()


@pytest.mark.parametrize("statement", ["USE local", "SET VARIABLE x = 1", "CACHE TABLE c AS SELECT 1"])
def test_what_cannot_be_undone_ends_the_session(new_pool: NewPool, target: Target, statement: str) -> None:
    sessions = new_pool(size=1)
    first = ""
    with pytest.raises(AutoloaderError) if "VARIABLE" in statement else _nothing(), sessions.lease(target) as one:
        first = one.session_id
        one.spark.sql(statement).collect()
    with sessions.lease(target) as two:
        assert two.session_id != first


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_access_is_never_shared_between_two_stores(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool()
    with sessions.lease(target, fingerprint="one") as one:
        first = one.session_id
    with sessions.lease(target, fingerprint="two") as two:
        assert two.session_id != first


def test_an_idle_session_makes_room_where_the_pool_is_full(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool(size=1)
    with sessions.lease(target, fingerprint="one"):
        pass
    with sessions.lease(target, fingerprint="two"):
        assert sessions.stats()["leased"] == 1
    assert sessions.stats() == {"size": 1, "leased": 0, "idle": 1, "opened": 2, "reused": 0, "closed": 1}


def test_idle_and_old_sessions_are_closed(new_pool: NewPool, target: Target) -> None:
    clock = Clock()
    sessions = new_pool(clock=clock)
    with sessions.lease(target):
        pass
    clock.now += 599
    assert sessions.sweep() == 0
    clock.now += 2
    assert sessions.sweep() == 1
    with sessions.lease(target):
        clock.now += 3601
    assert sessions.stats()["idle"] == 0  # it came back too old


def test_an_error_of_spark_arrives_as_our_own_and_gives_the_place_back(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool(size=1)
    with pytest.raises(AutoloaderError, match="not found") as raised, sessions.lease(target) as lease:
        lease.spark.table("local.no.such").collect()
    assert "JVM stacktrace" not in raised.value.message
    with sessions.lease(target):
        pass


def test_a_restarted_server_gets_new_sessions(new_pool: NewPool) -> None:
    server = start_server()
    try:
        sessions = new_pool(size=1)
        target = Target(server.url)
        with sessions.lease(target) as one:
            first = one.session_id
        server.kill()
        with pytest.raises(TransientError), sessions.lease(target):
            pass
        server.restart()
        with sessions.lease(target) as two:
            assert two.session_id != first
            assert two.spark.conf.get("spark.sql.session.timeZone") == "UTC"
            server.restart()
            with pytest.raises(TransientError, match="restarted"):  # never a session with its settings lost
                two.spark.sql("SELECT 1").collect()
    finally:
        sessions.close()
        server.stop()


def test_a_statement_can_be_ended_from_elsewhere(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool()
    failed: list[AutoloaderError] = []
    begun = threading.Event()
    ids: list[str] = []

    def work() -> None:
        try:
            with sessions.lease(target) as lease:
                ids.append(lease.session_id)
                lease.spark.addTag("batch-1")
                begun.set()
                lease.spark.sql("SELECT count(*) FROM range(100000000000) WHERE id % 7 = rand()").collect()
        except AutoloaderError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    deadline = 60
    while thread.is_alive() and deadline:
        interrupt(target, ids[0], "batch-1")
        thread.join(0.5)
        deadline -= 1
    assert [error.code for error in failed] == ["spark_interrupted"]
    interrupt(target, ids[0], "batch-1")  # nothing runs any more: harmless


def test_a_session_that_is_collected_closes_nothing_of_the_others(
    new_pool: NewPool, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own close ends threads that all sessions of a process share, and can lock up for ever."""
    with new_pool().lease(target) as lease:
        closed: list[bool] = []
        monkeypatch.setattr(ExecutePlanResponseReattachableIterator, "shutdown", lambda: closed.append(True))
        lease.spark.__del__()
        assert closed == []
        assert lease.spark.sql("SELECT 1").collect()[0][0] == 1


def test_a_closed_pool_gives_no_more(new_pool: NewPool, target: Target) -> None:
    sessions = new_pool()
    sessions.close()
    with pytest.raises(TransientError, match="ending"), sessions.lease(target):
        pass


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    import os

    mine = id(pool())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"same" if id(pool()) == mine else b"own")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"own"
