"""Several schedulers look at the same rows at the same moment, in threads with connections of their own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.services.firing import fire_due, start_behind
from ingestions.services.retries import retry_due
from ingestions.services.runs import RunActive, run_start
from tests.services.schedules.support import HOUR, MINUTE, NOON, scheduled

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gave back; a fault of one is a fault of the test."""
    start, found = threading.Barrier(len(works)), []

    def one(work: Callable[[], object]) -> None:
        try:
            start.wait(30)
            found.append(work())
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    faults = [each for each in found if isinstance(each, Exception)]
    assert not faults, faults
    return found


def until_quiet(work: Callable[[datetime], int], now: datetime) -> int:
    """A scheduler's next looks, too: rows that another one held are passed by."""
    return sum(work(now) for _ in range(5))


def test_every_fire_makes_one_run_and_one_task(owner: User, cluster: Cluster) -> None:
    for number in range(40):
        scheduled(owner, cluster, name=f"Feed {number}")
    made = at_once(*[lambda: until_quiet(fire_due, NOON + HOUR)] * 4)
    assert sum(made) == 40  # type: ignore[arg-type]
    assert Run.objects.filter(scheduled_for=NOON + HOUR).count() == 40
    tasks = Counter(task.task["args"][0] for task in OrmQ.objects.all())
    assert tasks == Counter(str(pk) for pk in Run.objects.values_list("pk", flat=True))
    assert not Ingestion.objects.exclude(next_run_at=NOON + 2 * HOUR).exists()


def test_one_that_waited_behind_a_run_is_started_once(owner: User, cluster: Cluster) -> None:
    for number in range(8):
        row = scheduled(owner, cluster, name=f"Feed {number}", overlap="queue")
        Ingestion.objects.filter(pk=row.pk).update(behind_for=NOON)
    assert sum(at_once(*[lambda: until_quiet(start_behind, NOON)] * 3)) == 8  # type: ignore[arg-type]
    assert Run.objects.count() == OrmQ.objects.count() == 8


def test_a_retry_is_started_once(owner: User, cluster: Cluster) -> None:
    for number in range(8):
        row = scheduled(owner, cluster, name=f"Feed {number}")
        Run.objects.create(ingestion=row, status="failed", trigger="scheduled", retry_at=NOON)
    assert sum(at_once(*[lambda: until_quiet(retry_due, NOON)] * 3)) == 8  # type: ignore[arg-type]
    assert Run.objects.filter(trigger="retry").count() == OrmQ.objects.count() == 8


def test_a_person_and_two_schedulers_make_one_active_run(owner: User, cluster: Cluster) -> None:
    rows = [scheduled(owner, cluster, name=f"Feed {number}") for number in range(10)]

    def person() -> int:
        started = 0
        for row in rows:
            try:
                run_start(ingestion=row, user=owner)
                started += 1
            except RunActive:
                pass
        return started

    at_once(lambda: until_quiet(fire_due, NOON + HOUR), person, lambda: until_quiet(fire_due, NOON + HOUR))
    assert Run.objects.active().count() == 10
    assert Run.objects.count() == OrmQ.objects.count() == 10
    assert not Ingestion.objects.filter(next_run_at__lte=NOON + HOUR).exists()


def test_pausing_while_it_fires_leaves_nothing_that_fires_later(owner: User, cluster: Cluster) -> None:
    from ingestions.services.lifecycle import ingestion_pause

    rows = [scheduled(owner, cluster, name=f"Feed {number}") for number in range(10)]

    def person() -> None:
        for row in rows:
            ingestion_pause(ingestion=row, user=owner)

    at_once(lambda: until_quiet(fire_due, NOON + HOUR), person)
    assert not Ingestion.objects.exclude(next_run_at=None).exists()
    assert fire_due(timezone.now() + 9 * HOUR + MINUTE) == 0
    assert all(row.runs.count() <= 1 for row in rows)
