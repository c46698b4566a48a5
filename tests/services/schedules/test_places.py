"""How many runs are worked on at once, who is next, and what those who wait say."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from clusters.models import Cluster
from ingestions.models import Run
from ingestions.services.editing import ingestion_update
from ingestions.services.lease import claim
from ingestions.services.places import places_offer
from ingestions.services.runs import next_in_queue, run_cancel, run_start
from ingestions.services.sweeper import sweep
from ingestions.tasks import work
from tests.cast import make_cluster, make_ingestion, person
from tests.services.local_feed import LocalFeed

pytestmark = pytest.mark.django_db(transaction=True)


def queued(owner: User, cluster: Cluster, count: int, *, priority: int = 0) -> list[Run]:
    start = Run.objects.count()
    return [
        run_start(
            ingestion=make_ingestion(owner, cluster, name=f"Feed {number}", limits={"priority": priority}),
        )
        for number in range(start, start + count)
    ]


def took(*runs: Run) -> list[bool]:
    return [claim(run_id=str(run.pk)) is not None for run in runs]


def left(run: Run) -> None:
    """Its worker has worked a slice and gives it back, with more to do."""
    Run.objects.filter(pk=run.pk).update(lease_token="", lease_holder="", lease_expires_at=None)


def ended(run: Run) -> None:
    left(run)
    Run.objects.filter(pk=run.pk).update(status="success")


def phase(run: Run) -> str:
    return Run.objects.get(pk=run.pk).phase


def test_a_cluster_takes_so_many_runs_and_the_others_say_what_they_wait_for(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=2)
    runs = queued(owner, cluster, 4)
    assert took(*runs) == [True, True, False, False]
    assert phase(runs[2]) == "waits for a free place on the cluster Warehouse: 2 of 2 in use"
    assert Run.objects.get(pk=runs[2].pk).status == "queued"
    other = queued(owner, make_cluster(owner, name="Other"), 1)
    assert took(*other) == [True], "another cluster has places of its own"


def test_a_place_that_becomes_free_goes_to_who_waited_longest(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=1)
    runs = queued(owner, cluster, 3)
    assert took(*runs) == [True, False, False]
    OrmQ.objects.all().delete()
    assert places_offer(timezone.now()) == 0
    ended(runs[0])
    assert sweep() == 1
    assert [task.task["args"][0] for task in OrmQ.objects.all()] == [str(runs[1].pk)]
    assert places_offer(timezone.now()) == 0, "it is promised to that one"
    late = queued(owner, cluster, 1)
    assert took(*late, runs[2], runs[1]) == [False, False, True]


def test_a_run_that_goes_on_and_on_shares_its_place_with_those_that_wait(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=1)
    long, short = queued(owner, cluster, 2)
    assert took(long, short) == [True, False]
    left(long)
    assert took(long) == [False], "somebody waits for the place"
    assert phase(long).startswith("waits for a free place on the cluster Warehouse")
    assert places_offer(timezone.now()) == 1
    assert took(short) == [True]
    ended(short)
    assert places_offer(timezone.now()) == 1
    assert took(long) == [True]


def test_the_more_urgent_gets_the_place(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=1)
    first, *_, plain = queued(owner, cluster, 3)
    (urgent,) = queued(owner, cluster, 1, priority=5)
    assert took(first, plain, urgent) == [True, False, False]
    ended(first)
    assert places_offer(timezone.now()) == 1
    assert took(plain, urgent) == [False, True]


def test_limits_over_all_and_of_an_owner(owner: User, cluster: Cluster, settings: Any) -> None:
    settings.RUNS_AT_ONCE, settings.RUNS_AT_ONCE_PER_OWNER = 3, 2
    mine, theirs = queued(owner, cluster, 3), queued(person("other"), cluster, 2)
    assert took(*mine) == [True, True, False]
    assert phase(mine[2]) == "waits for a free place among those of its owner: 2 of 2 in use"
    assert took(*theirs) == [True, False]
    assert phase(theirs[1]) == "waits for a free place: 3 of 3 in use"
    ended(theirs[0])
    assert places_offer(timezone.now()) == 1, "one whose own limit is reached holds up nobody else"
    assert took(theirs[1]) == [True]


def test_a_dead_worker_holds_no_place(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=1)
    dead, waiting = queued(owner, cluster, 2)
    assert took(dead, waiting) == [True, False]
    Run.objects.filter(pk=dead.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert places_offer(timezone.now()) == 1
    assert took(waiting) == [True]


def test_a_run_that_waits_for_a_place_is_cancelled_at_once(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=1)
    first, waiting = queued(owner, cluster, 2)
    took(first, waiting)
    assert run_cancel(run=waiting).status == "cancelled"
    assert places_offer(timezone.now()) == 0


def test_workers_at_the_same_moment_take_no_more_than_there_are(owner: User, cluster: Cluster) -> None:
    Cluster.objects.update(max_runs=3)
    runs = queued(owner, cluster, 10)
    start, found = threading.Barrier(10), []

    def one(run: Run) -> None:
        try:
            start.wait(30)
            found.append(claim(run_id=str(run.pk)) is not None)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(found), sum(found)) == (10, 3)


def test_where_nothing_is_bounded_nobody_waits(owner: User, cluster: Cluster) -> None:
    assert took(*queued(owner, cluster, 5)) == [True] * 5


# ---- the queue


def test_a_worker_takes_the_more_urgent_run_first_and_the_other_with_its_task(owner: User, cluster: Cluster) -> None:
    (plain,) = queued(owner, cluster, 1)
    (low,) = queued(owner, cluster, 1, priority=-3)
    (urgent,) = queued(owner, cluster, 1, priority=7)
    assert next_in_queue(run_id=str(plain.pk)) == str(urgent.pk)
    took(urgent)
    assert next_in_queue(run_id=str(low.pk)) == str(plain.pk)
    took(plain)
    assert next_in_queue(run_id=str(urgent.pk), but=[str(urgent.pk)]) == str(low.pk), "its own is taken"
    took(low)
    assert next_in_queue(run_id=str(plain.pk), but=[str(plain.pk)]) is None


def test_equal_ones_are_taken_in_their_order(owner: User, cluster: Cluster) -> None:
    first, second = queued(owner, cluster, 2)
    assert next_in_queue(run_id=str(second.pk)) == str(second.pk)
    assert next_in_queue(run_id=str(first.pk)) == str(first.pk)


def test_an_edit_of_the_priority_counts_for_a_run_that_waits(owner: User, cluster: Cluster) -> None:
    (run,) = queued(owner, cluster, 1)
    ingestion_update(ingestion=run.ingestion, changes={"limits": {"priority": 9}}, user=owner)
    assert Run.objects.get(pk=run.pk).priority == 9


def test_the_task_of_one_run_does_the_work_of_a_more_urgent_one(settings: Any, tmp_path: Path) -> None:
    """And that one's task the work of the first: empty folders, which need no cluster."""
    settings.LOCAL_ROOTS = [str(tmp_path)]
    runs = []
    for number, priority in enumerate((0, 0, 5)):
        (tmp_path / str(number)).mkdir()
        feed = LocalFeed(tmp_path / str(number), "sc://127.0.0.1:1", limits={"priority": priority})
        runs.append(run_start(ingestion=feed.ingestion))
    plain, _, urgent = runs

    def statuses() -> list[str]:
        return [Run.objects.get(pk=run.pk).status for run in runs]

    work(str(plain.pk))
    assert statuses() == ["queued", "queued", "success"]
    work(str(urgent.pk))
    assert statuses() == ["success", "queued", "success"]
    work(str(plain.pk))
    assert statuses() == ["success"] * 3


def test_a_task_whose_run_finds_no_place_does_the_work_of_another(owner: User, cluster: Cluster, settings: Any,
                                                                  tmp_path: Path) -> None:  # fmt: skip
    settings.LOCAL_ROOTS = [str(tmp_path)]
    Cluster.objects.update(max_runs=1)
    held, waiting = queued(owner, cluster, 2)
    took(held)
    (tmp_path / "feed").mkdir()
    other = run_start(ingestion=LocalFeed(tmp_path / "feed", "sc://127.0.0.1:1").ingestion)
    work(str(waiting.pk))
    assert phase(waiting).startswith("waits for a free place")
    assert Run.objects.get(pk=other.pk).status == "success"
