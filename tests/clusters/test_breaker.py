"""The breaker by itself: when it opens, who tries, how long the others wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from autoloader.lib.breaker import Breaker, Policy, Waits
from clusters.models import Cluster, ClusterBreaker
from clusters.services import cluster_test, cluster_update
from tests.cast import cluster, owner

__all__ = ["cluster", "owner"]

POLICY = Policy(failures=3, first_wait_seconds=10, longest_wait_seconds=60, probe_seconds=30)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of(cluster: Cluster, clock: Clock) -> Breaker[ClusterBreaker]:
    rows = ClusterBreaker.objects.filter(cluster=cluster)
    return Breaker(
        rows, lambda: ClusterBreaker.objects.get_or_create(cluster=cluster), POLICY, what="The cluster", now=clock
    )


@pytest.fixture
def breaker(cluster: Cluster, clock: Clock) -> Breaker[ClusterBreaker]:
    return of(cluster, clock)


def opened(breaker: Breaker[ClusterBreaker]) -> Breaker[ClusterBreaker]:
    for number in range(POLICY.failures):
        breaker.failed(by=f"run {number}", why="It is gone.")
    return breaker


def seconds_left(breaker: Breaker[ClusterBreaker], clock: Clock) -> float:
    with pytest.raises(Waits) as waits:
        breaker.admit(by="somebody")
    return (waits.value.until - clock.now).total_seconds()


def test_failures_in_a_row_open_it_and_fewer_do_not(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    assert breaker.failed(by="a", why="It is gone.") is None
    assert breaker.failed(by="b", why="It is gone.") is None
    assert breaker.admit(by="c") is False
    waits = breaker.failed(by="c", why="It is gone.")
    assert waits is not None
    assert (waits.why, waits.until) == ("It is gone.", clock.now + timedelta(seconds=10))
    assert seconds_left(breaker, clock) == 10


def test_what_works_in_between_starts_the_count_again(breaker: Breaker[ClusterBreaker]) -> None:
    for _ in range(5):
        assert breaker.failed(by="a", why="It is gone.") is None
        assert breaker.failed(by="a", why="It is gone.") is None
        breaker.worked()


def test_one_tries_when_it_is_due_and_the_others_wait_for_it(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    opened(breaker)
    clock.pass_(10)
    assert breaker.admit(by="first") is True
    assert seconds_left(breaker, clock) == POLICY.probe_seconds
    assert breaker.answered(by="second") is False
    assert breaker.answered(by="first") is True
    assert breaker.admit(by="second") is False


def test_each_try_in_vain_doubles_the_wait_up_to_a_bound(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    opened(breaker)
    found = []
    for number in range(5):
        wait = seconds_left(breaker, clock)
        found.append(wait)
        clock.pass_(wait)
        assert breaker.admit(by=f"try {number}") is True
        breaker.failed(by=f"try {number}", why="It is still gone.")
    assert found == [10, 20, 40, 60, 60]


def test_a_failure_that_was_begun_earlier_lengthens_nothing(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    opened(breaker)
    waits = breaker.failed(by="a late one", why="It was gone.")
    assert waits is not None
    assert seconds_left(breaker, clock) == 10


def test_after_a_try_that_succeeded_the_next_failure_opens_it_again(
    breaker: Breaker[ClusterBreaker], clock: Clock
) -> None:
    """A server that opens sessions and dies of work would be tried by everybody otherwise."""
    opened(breaker)
    clock.pass_(10)
    assert breaker.admit(by="a")
    assert breaker.answered(by="a")
    assert breaker.failed(by="b", why="It died.") is not None
    assert seconds_left(breaker, clock) == 20
    clock.pass_(20)
    assert breaker.admit(by="c")
    assert breaker.answered(by="c")
    breaker.worked()
    assert breaker.failed(by="d", why="It died.") is None


def test_a_dead_prober_is_followed_by_another(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    opened(breaker)
    clock.pass_(10)
    assert breaker.admit(by="dies")
    clock.pass_(POLICY.probe_seconds)
    assert breaker.admit(by="lives")
    breaker.failed(by="dies", why="It was only slow.")
    assert breaker.answered(by="lives") is True


def test_a_clock_that_was_set_back_does_not_make_it_wait_for_hours(
    breaker: Breaker[ClusterBreaker], clock: Clock
) -> None:
    opened(breaker)
    clock.pass_(-7200)
    assert breaker.admit(by="a") is True


def test_a_person_closes_it_at_once(breaker: Breaker[ClusterBreaker], clock: Clock) -> None:
    opened(breaker)
    assert breaker.close() is True
    assert breaker.close() is False
    assert breaker.admit(by="a") is False
    assert breaker.failed(by="a", why="It is gone.") is None


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_moment_one_tries(cluster: Cluster) -> None:
    clock = Clock()
    opened(of(cluster, clock))
    clock.pass_(10)
    found: list[Any] = []
    start = threading.Barrier(8)

    def ask(number: int) -> None:
        try:
            start.wait(30)
            found.append(of(cluster, clock).admit(by=f"worker {number}"))
        except Waits:
            found.append("waits")
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, found)) == ["True", *["waits"] * 7]


def test_another_address_closes_it_and_another_name_does_not(
    breaker: Breaker[ClusterBreaker], cluster: Cluster
) -> None:
    opened(breaker)
    assert cluster_update(cluster=cluster, name="Renamed").awaited
    cluster_update(cluster=cluster, spark_connect_url="sc://other.example:15002")
    assert Cluster.objects.get().awaited is None


def test_a_connection_test_that_fails_leaves_it_open(breaker: Breaker[ClusterBreaker], cluster: Cluster) -> None:
    Cluster.objects.update(url="sc://127.0.0.1:1")
    opened(breaker)
    assert not cluster_test(cluster=Cluster.objects.get()).ok
    assert Cluster.objects.get().awaited
