"""The loop of a scheduler: its steps, and what holds up none of them."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError

from clusters.models import Cluster
from ingestions.models import Heartbeat, Run
from ingestions.services.scheduler import Scheduler, Step, steps
from tests.services.schedules.support import HOUR, NOON, scheduled

pytestmark = pytest.mark.django_db


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_one_look_beats_and_fires(owner: User, cluster: Cluster) -> None:
    row = scheduled(owner, cluster)
    scheduler = Scheduler()
    scheduler.tick(lambda: NOON + HOUR)
    scheduler.tick(lambda: NOON + HOUR)
    assert row.runs.count() == 1
    assert Heartbeat.objects.get().kind == "scheduler"


def test_steps_keep_their_own_time() -> None:
    done: list[str] = []
    clock = Clock()
    often = Step("often", lambda now: done.append("often"))
    seldom = Step("seldom", lambda now: done.append("seldom"), 10)
    scheduler = Scheduler((often, seldom), clock)
    for clock.seconds in (0, 1, 9.9, 10, 11):
        scheduler.tick(lambda: NOON)
    assert done == ["often", "seldom", "often", "often", "often", "seldom", "often"]


@pytest.mark.parametrize("fault", [ZeroDivisionError, IntegrityError])
def test_a_fault_in_one_step_holds_up_no_other(fault: type[Exception]) -> None:
    def broken(now: datetime) -> None:
        raise fault

    done: list[datetime] = []
    Scheduler((Step("broken", broken), Step("next", done.append))).tick(lambda: NOON)
    assert done == [NOON]


def test_a_database_that_is_away_is_told() -> None:
    def away(now: datetime) -> None:
        raise OperationalError("gone")

    with pytest.raises(OperationalError):
        Scheduler((Step("away", away),)).tick(lambda: NOON)


def test_every_step_can_be_done_on_an_empty_installation() -> None:
    for step in steps():
        step.work(NOON)
    assert not Run.objects.exists()
