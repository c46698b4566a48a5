"""What a scheduler makes of schedules that are due; the clock is whatever the tests say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django_q.models import OrmQ

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.services.editing import ingestion_update
from ingestions.services.firing import fire_due, mend_plans, start_behind
from ingestions.services.ingestions import ingestion_delete
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause, ingestion_resume
from ingestions.services.runs import run_start
from ingestions.services.schedules import next_times, told
from tests.cast import make_ingestion
from tests.services.schedules.support import HOUR, MINUTE, NOON, ended, fires, scheduled

pytestmark = pytest.mark.django_db


@pytest.fixture
def hourly(owner: User, cluster: Cluster) -> Ingestion:
    return scheduled(owner, cluster)


def fresh(row: Ingestion) -> Ingestion:
    return Ingestion.objects.get(pk=row.pk)


def test_what_is_due_becomes_a_run_with_its_task(hourly: Ingestion) -> None:
    assert hourly.next_run_at == NOON + HOUR
    assert fire_due(NOON + HOUR - timedelta(seconds=1)) == 0
    assert fire_due(NOON + HOUR) == 1
    run = Run.objects.get()
    assert (run.trigger, run.status, run.scheduled_for, run.requested_by) == ("scheduled", "queued", NOON + HOUR, None)
    assert [task.task["args"] for task in OrmQ.objects.all()] == [(str(run.pk),)]
    assert fresh(hourly).next_run_at == NOON + 2 * HOUR
    assert fire_due(NOON + HOUR + MINUTE) == 0


def test_drafts_paused_ones_and_those_by_hand_are_never_due(owner: User, cluster: Cluster) -> None:
    daily = {"frequency": "daily"}
    for status in ("draft", "paused", "error"):
        make_ingestion(owner, cluster, schedule=daily, status=status)
    make_ingestion(owner, cluster, status="active")
    mend_plans(NOON)
    assert not Ingestion.objects.exclude(next_run_at=None).exists()
    assert fire_due(NOON + timedelta(days=30)) == 0


def test_an_active_one_that_has_no_plan_yet_gets_one(owner: User, cluster: Cluster) -> None:
    row = make_ingestion(owner, cluster, schedule={"frequency": "daily", "time": "02:30"}, status="active")
    assert mend_plans(NOON) == 1
    assert fresh(row).next_run_at == NOON.replace(hour=2, minute=30) + timedelta(days=1)
    assert mend_plans(NOON) == 0


# ---- downtime


def test_after_downtime_one_run_makes_up_for_all_that_was_missed(hourly: Ingestion) -> None:
    assert fire_due(NOON + 5 * HOUR + 10 * MINUTE) == 1
    assert fires(hourly) == [NOON + HOUR]
    row = fresh(hourly)
    assert row.next_run_at == NOON + 6 * HOUR
    assert row.schedule_note == "The run of 2026-11-26 13:00 UTC was missed, as no scheduler ran, and started late."
    ended(Run.objects.get())
    assert fire_due(NOON + 6 * HOUR) == 1
    assert fresh(hourly).schedule_note == "", "all is as it should be again"


def test_what_was_missed_is_skipped_where_that_is_the_rule(owner: User, cluster: Cluster) -> None:
    row = scheduled(owner, cluster, misfire="skip")
    assert fire_due(NOON + 5 * HOUR + 10 * MINUTE) == 0
    assert not Run.objects.exists()
    assert "13:00 UTC was missed, as no scheduler ran, and was skipped" in fresh(row).schedule_note
    assert fire_due(NOON + 6 * HOUR + timedelta(seconds=59)) == 1, "a moment late is not missed"
    assert fires(row) == [NOON + 6 * HOUR]


def test_after_downtime_a_fire_of_this_moment_is_none_that_was_missed(owner: User, cluster: Cluster) -> None:
    row = scheduled(owner, cluster, misfire="skip", frequency="custom", cron_expression="* * * * *")
    assert fire_due(NOON + HOUR + timedelta(seconds=5)) == 1
    assert fires(row) == [NOON + HOUR]


# ---- a run that goes on


def test_a_fire_during_a_run_is_skipped_and_says_so(hourly: Ingestion) -> None:
    fire_due(NOON + HOUR)
    assert fire_due(NOON + 2 * HOUR) == 0
    assert fires(hourly) == [NOON + HOUR]
    row = fresh(hourly)
    assert row.schedule_note == "The run of 2026-11-26 14:00 UTC was skipped, as the run before it had not ended."
    assert row.schedule_noted_at == NOON + 2 * HOUR
    assert row.next_run_at == NOON + 3 * HOUR
    ended(Run.objects.get())
    assert start_behind(NOON + 2 * HOUR) == 0


def test_one_fire_waits_behind_a_run_where_that_is_the_rule(owner: User, cluster: Cluster) -> None:
    row = scheduled(owner, cluster, overlap="queue")
    for hour in (1, 2, 3):
        fire_due(NOON + hour * HOUR)
    assert fires(row) == [NOON + HOUR]
    assert fresh(row).behind_for == NOON + 2 * HOUR
    assert "15:00 UTC was skipped, as one waits already" in fresh(row).schedule_note
    assert start_behind(NOON + 3 * HOUR) == 0, "the run in hand goes on"
    ended(Run.objects.get())
    assert start_behind(NOON + 3 * HOUR + MINUTE) == 1
    assert fires(row) == [NOON + HOUR, NOON + 2 * HOUR]
    assert (fresh(row).behind_for, OrmQ.objects.count()) == (None, 2)
    assert start_behind(NOON + 3 * HOUR + MINUTE) == 0


# ---- people and schedulers at the same time


def test_a_paused_one_does_not_fire_and_a_resumed_one_starts_anew(hourly: Ingestion, owner: User) -> None:
    Ingestion.objects.filter(pk=hourly.pk).update(behind_for=NOON)
    paused = ingestion_pause(ingestion=hourly, user=owner)
    assert (paused.next_run_at, paused.behind_for) == (None, None)
    assert fire_due(NOON + 9 * HOUR) == 0
    resumed = ingestion_resume(ingestion=hourly, user=owner)
    assert resumed.next_run_at is not None
    assert resumed.next_run_set_at is not None
    assert resumed.next_run_set_at < resumed.next_run_at <= resumed.next_run_set_at + HOUR
    assert not Run.objects.exists(), "the time of the pause is not made up for"


def test_an_edit_of_the_times_counts_from_now_on_and_one_of_the_rules_moves_nothing(
    hourly: Ingestion, owner: User
) -> None:
    before = hourly.next_run_at
    ingestion_update(ingestion=hourly, changes={"schedule": {"misfire": "skip", "overlap": "queue"}}, user=owner)
    assert fresh(hourly).next_run_at == before, "a fire that is due stays due"
    ingestion_update(ingestion=hourly, changes={"schedule": {"time": "00:10"}}, user=owner)
    moved = fresh(hourly)
    assert moved.next_run_at is not None
    assert moved.next_run_at.minute == 10
    ingestion_update(ingestion=hourly, changes={"schedule": {"frequency": None}}, user=owner)
    assert fresh(hourly).next_run_at is None


def test_a_fire_that_was_read_before_an_edit_is_not_carried_out(
    hourly: Ingestion, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the claim somebody edits. What they did shares the transaction here and is undone."""
    from ingestions.services import firing

    verdict = firing._verdict

    def meanwhile(row: Ingestion, now: Any, **given: Any) -> Any:
        Ingestion.objects.filter(pk=row.pk).update(next_run_at=NOON + 7 * HOUR)
        return verdict(row, now, **given)

    monkeypatch.setattr(firing, "_verdict", meanwhile)
    assert fire_due(NOON + HOUR) == 0
    assert not Run.objects.exists()
    assert not OrmQ.objects.exists()


def test_activating_plans_and_deleting_takes_the_plan_away(owner: User, cluster: Cluster) -> None:
    row = make_ingestion(owner, cluster, schedule={"frequency": "daily"})
    assert ingestion_activate(ingestion=row, user=owner).next_run_at is not None
    ingestion_delete(ingestion=row)
    assert fire_due(NOON + timedelta(days=3000)) == 0


def test_a_run_that_a_person_starts_at_this_moment_is_one_that_goes_on(
    hourly: Ingestion, owner: User, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the look for active runs: the database refuses, and the others are fired all the same."""
    other = scheduled(owner, cluster, name="Other")
    from ingestions.services import firing

    busy = firing._busy
    came: list[Run] = []

    def too_early(rows: Any) -> Any:
        found = busy(rows)
        if not came:
            came.append(run_start(ingestion=hourly))
        return found

    monkeypatch.setattr(firing, "_busy", too_early)
    fire_due(NOON + HOUR)
    assert fires(other) == [NOON + HOUR]
    assert Run.objects.filter(ingestion=hourly).count() == 1
    assert fresh(hourly).next_run_at == NOON + 2 * HOUR


# ---- clocks and zones


def test_a_clock_that_jumps_ahead_and_back_loses_no_fire_and_repeats_none(hourly: Ingestion) -> None:
    fire_due(NOON + HOUR)
    ended(Run.objects.get())
    wrong = NOON + timedelta(days=400)
    assert fire_due(wrong) == 1
    Run.objects.update(status="success")
    assert fresh(hourly).next_run_at == wrong + HOUR
    right = NOON + HOUR + MINUTE
    assert fire_due(right) == 0
    assert mend_plans(right) == 1
    assert fresh(hourly).next_run_at == NOON + 2 * HOUR
    assert fire_due(NOON + 2 * HOUR) == 0, "this one has its run: it was the late one"
    assert fire_due(NOON + 3 * HOUR) == 1
    assert fires(hourly) == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]


def test_a_clock_that_is_set_back_an_hour_repeats_no_fire(hourly: Ingestion) -> None:
    fire_due(NOON + HOUR)
    ended(Run.objects.get())
    assert mend_plans(NOON) == 1
    assert fresh(hourly).next_run_at == NOON + HOUR
    assert fire_due(NOON + HOUR) == 0
    assert fires(hourly) == [NOON + HOUR]
    assert fresh(hourly).next_run_at == NOON + 2 * HOUR


def test_a_zone_that_is_gone_stops_its_ingestion_and_no_other(hourly: Ingestion, owner: User, cluster: Cluster) -> None:
    gone = scheduled(owner, cluster, name="Gone")
    config = {**gone.config, "schedule": {**gone.config["schedule"], "timezone": "Europe/Atlantis"}}
    Ingestion.objects.filter(pk=gone.pk).update(config=config)
    assert fire_due(NOON + HOUR) == 1
    assert fires(hourly) == [NOON + HOUR]
    row = fresh(gone)
    assert (row.status, row.next_run_at) == ("error", None)
    assert "no time zone 'Europe/Atlantis'" in row.status_reason
    ingestion_update(ingestion=gone, changes={"schedule": {"timezone": "Europe/Athens"}}, user=owner)
    assert ingestion_resume(ingestion=gone, user=owner).next_run_at is not None


@pytest.mark.parametrize(
    "schedule",
    [
        {"frequency": "sometimes"},
        {"frequency": "daily", "time": "noon"},
        {"frequency": "custom", "cron_expression": "a b c d e"},
        None,
    ],
)
def test_a_configuration_that_cannot_be_followed_stops_no_other(
    hourly: Ingestion, owner: User, cluster: Cluster, schedule: Any
) -> None:
    broken = scheduled(owner, cluster, name="Broken")
    Ingestion.objects.filter(pk=broken.pk).update(config={**broken.config, "schedule": schedule})
    assert fire_due(NOON + HOUR) == 1
    assert fresh(broken).status == "error"
    assert "schedule cannot be followed" in fresh(broken).status_reason
    assert told(fresh(broken)) == "not valid"


def test_the_next_times_are_told_in_order(owner: User, cluster: Cluster) -> None:
    row = scheduled(owner, cluster, frequency="daily", time="02:30", timezone="Europe/Berlin")
    times = next_times(row, now=NOON)
    assert times == [NOON.replace(hour=1, minute=30) + timedelta(days=day) for day in range(1, 6)]
    ingestion_pause(ingestion=row, user=owner)
    assert next_times(fresh(row), now=NOON) == []


def test_more_than_a_batch_is_dealt_with_at_once(
    owner: User, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestions.services import firing

    monkeypatch.setattr(firing, "BATCH", 3)
    for number in range(7):
        scheduled(owner, cluster, name=f"Feed {number}")
    assert fire_due(NOON + HOUR) == 7
    assert Run.objects.count() == OrmQ.objects.count() == 7
