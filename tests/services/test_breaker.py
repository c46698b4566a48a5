"""Many runs of one cluster that is gone: one of them tries now and then, the others hold nobody up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from clusters.breaker import cluster_try_again
from clusters.embedded import EmbeddedServer
from clusters.models import Cluster, ClusterBreaker
from ingestions.models import Ingestion, Run, TableLease
from ingestions.services.execution import run_work
from ingestions.services.lease import claim
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_cancel, run_start
from ingestions.services.sweeper import sweep
from tests.services.local_feed import LocalFeed

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = ("127.0.0.1", 1)
_asked = {"count": 0, "port": 0}


def _count(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][1] == _asked["port"]:
        _asked["count"] += 1


sys.addaudithook(_count)  # every connection of this process; there is no way to take it back


@contextmanager
def asked(port: int = REFUSED[1]) -> Iterator[Callable[[], int]]:
    """How often the port was really tried."""
    _asked.update(count=0, port=port)
    try:
        yield lambda: _asked["count"]
    finally:
        _asked.update(port=0)


@pytest.fixture
def feeds(settings: Any, tmp_path: Path) -> list[LocalFeed]:
    """Six ingestions of a cluster that is gone, each with a file of its own."""
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return [_feed(tmp_path, number, "sc://127.0.0.1:1") for number in range(6)]


def _feed(root: Path, number: int, url: str) -> LocalFeed:
    feed = LocalFeed(root / f"feed-{number}", url)
    feed.write("a.csv", f"id,name\n{number},x\n")
    return feed


def start(feeds: list[LocalFeed]) -> list[Run]:
    return [run_start(ingestion=feed.ingestion) for feed in feeds]


def fresh(runs: list[Run]) -> list[Run]:
    return [Run.objects.get(pk=run.pk) for run in runs]


def work(runs: list[Run]) -> None:
    for run in runs:
        run_work(run_id=str(run.pk))


def overdue() -> None:
    """The next try is due, and every run's wait is over."""
    past = timezone.now() - timedelta(seconds=1)
    ClusterBreaker.objects.update(next_try_at=past)
    Run.objects.active().exclude(resume_at=None).update(resume_at=past)


def test_after_three_failures_of_whichever_runs_nobody_asks_any_more(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    with asked() as count:
        work(runs)
        assert count() == 3
    breaker = ClusterBreaker.objects.get()
    assert breaker.next_try_at is not None
    for run in fresh(runs)[2:]:
        assert (run.status, run.lease_token, run.transient_failures) == ("running", "", 0)
        assert run.resume_at == breaker.next_try_at
        assert run.phase == (
            "waiting for the cluster embedded: The Spark cluster at 127.0.0.1:1 cannot be reached: connection refused, "
            f"next try {breaker.next_try_at:%H:%M:%S} UTC"
        )
        assert claim(run_id=str(run.pk)) is None, "it takes no worker"
    assert [run.transient_failures for run in fresh(runs)[:2]] == [1, 1]


def test_of_many_runs_that_wait_one_tries_and_the_others_wait_on(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    work(runs)
    overdue()
    with asked() as count:
        work(runs[3:4])
        told = {run.phase for run in fresh(runs)[2:]}
        assert len(told) == 1, "all who wait know of the next try"
        work(runs)
        assert count() == 1
        assert {run.phase for run in fresh(runs)} == told
    breaker = ClusterBreaker.objects.get()
    assert (breaker.trips, breaker.prober) == (2, "")
    assert breaker.next_try_at is not None
    assert (breaker.next_try_at - timezone.now()).total_seconds() > 15, "twice as long as the first time"
    for run in fresh(runs):
        assert (run.is_active, run.resume_at) == (True, breaker.next_try_at)
        assert f"next try {breaker.next_try_at:%H:%M:%S}" in run.phase
    assert sum(run.transient_failures for run in fresh(runs)) == 2


def test_workers_at_the_same_moment_try_once(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    work(runs)
    overdue()

    def one(run: Run) -> None:
        try:
            run_work(run_id=str(run.pk))
        finally:
            connection.close()

    with asked() as count:
        threads = [threading.Thread(target=one, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert count() == 1
    assert all(run.is_active and run.lease_token == "" for run in fresh(runs))


def test_the_sweeper_puts_one_of_them_into_the_queue(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    work(runs)
    OrmQ.objects.all().delete()
    assert sweep() == 0
    overdue()
    Run.objects.filter(waits_for="").update(
        resume_at=timezone.now() + timedelta(minutes=4)
    )  # those that failed by themselves
    assert sweep() == 1
    assert sweep() == 0, "it is in the queue"
    assert OrmQ.objects.count() == 1


def test_trying_again_by_hand_wakes_all_that_wait(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    work(runs)
    OrmQ.objects.all().delete()
    assert cluster_try_again(cluster=Cluster.objects.get()) is True
    assert sweep() == 4
    assert OrmQ.objects.count() == 4
    with asked() as count:
        work(runs[2:3])
        assert count() == 1
    assert Run.objects.get(pk=runs[2].pk).waits_for == ""


def test_a_run_that_waited_too_long_for_its_cluster_fails_and_says_so(feeds: list[LocalFeed], settings: Any) -> None:
    runs = start(feeds)
    work(runs)
    Run.objects.exclude(waits_for="").update(waits_since=timezone.now() - timedelta(hours=2))
    overdue()
    OrmQ.objects.all().delete()
    assert sweep() >= 4, "each of them ends, not only the one that tries"
    work(runs)
    ended = fresh(runs)[2:]
    assert {(run.status, run.error_code) for run in ended} == {("failed", "cluster_away")}
    assert "did not answer for 60 minutes" in ended[0].error_message
    assert set(feeds[2].states().values()) <= {"DISCOVERED", "CLAIMED"}


def test_a_run_that_waits_for_its_cluster_is_cancelled_at_once(feeds: list[LocalFeed]) -> None:
    runs = start(feeds)
    work(runs)
    assert run_cancel(run=fresh(runs)[-1]).status == "cancelled"


def test_a_run_of_another_cluster_goes_on(feeds: list[LocalFeed], tmp_path: Path) -> None:
    work(start(feeds))
    other = Cluster.objects.create(name="o", url="sc://127.0.0.1:9", price_dbu_hour=0.4, price_storage_gb_month=0.02)
    moved = _feed(tmp_path, 9, "").ingestion
    moved.cluster, moved.config = other, {**moved.config, "cluster_id": str(other.pk)}
    moved.save()
    run = run_start(ingestion=moved)
    with asked(9) as count:
        run_work(run_id=str(run.pk))
        assert count() == 1
    assert Run.objects.get(pk=run.pk).transient_failures == 1


@pytest.mark.spark
@pytest.mark.timeout(200)
def test_runs_wait_for_a_cluster_that_was_killed_and_go_on_when_it_is_back(
    spark_server: EmbeddedServer, settings: Any, tmp_path: Path
) -> None:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    settings.BREAKER_WAIT_SECONDS = 0.5
    settings.BREAKER_LONGEST_WAIT_SECONDS = 1
    feeds = [_feed(tmp_path, number, spark_server.url) for number in range(5)]
    spark_server.kill()
    try:
        runs = start(feeds)
        with asked(spark_server.port) as count:
            _until(runs, lambda: ClusterBreaker.objects.filter(trips__gte=3).exists(), 60)
            assert count() == 5, "three to open it, and two tries"
    finally:
        spark_server.restart()
    _until(runs, lambda: not Run.objects.active().exists(), 120)
    assert {run.status for run in fresh(runs)} == {"success"}
    assert all(ledger_verify(ingestion=feed.ingestion).ok for feed in feeds)
    breaker = ClusterBreaker.objects.get()
    assert (breaker.opened_at, breaker.failures, breaker.trips) == (None, 0, 0)
    assert not TableLease.objects.exclude(token="").exists()
    assert Ingestion.objects.filter(rows_loaded=1).count() == 5


def _until(runs: list[Run], done: Callable[[], bool], seconds: float) -> None:
    """A worker and a scheduler in one: what is due is worked on."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, [(run.status, run.phase, run.error_message) for run in fresh(runs)]
        sweep()
        for task in list(OrmQ.objects.all()):
            (run_id,) = task.task["args"]
            task.delete()
            run_work(run_id=run_id)
        time.sleep(0.1)
