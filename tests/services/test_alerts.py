"""When people are told of runs that nobody watches, and what is not told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User

from autoloader.lib.errors import ConfigError, ConflictError
from clusters.models import Cluster
from ingestions.models import Alert, AlertDelivery, Ingestion, Run, Trouble
from ingestions.notify.message import Facts, Standing, say
from ingestions.services import alerts, execution
from ingestions.services.alerts import alert_test, remind
from ingestions.services.ingestions import ingestion_delete
from tests.cast import cluster, owner
from tests.services.alerted import NIGHT, alerted, end, kinds, waiting

__all__ = ["cluster", "owner"]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def feed(owner: User, cluster: Cluster) -> Ingestion:
    return alerted(owner, cluster, "ops@example.com", "https://hooks.example.com/x")


def pause(feed: Ingestion, status: str = "paused") -> None:
    Ingestion.objects.filter(pk=feed.pk).update(status=status)


@pytest.mark.parametrize("trigger", ["scheduled", "continuous", "event", "retry"])
def test_the_first_failure_of_an_unattended_run_is_told_to_each_recipient(feed: Ingestion, trigger: str) -> None:
    run = end(feed, "failed", NIGHT, trigger=trigger)
    alert = Alert.objects.get()
    assert (alert.kind, alert.run, alert.created_at) == ("failed", run, NIGHT)
    assert [(each.channel, each.server) for each in waiting()] == [("email", "mail"), ("webhook", "hooks.example.com")]


@pytest.mark.parametrize("minutes", [None, 5])
def test_it_is_said_when_the_run_is_tried_again(
    feed: Ingestion, minutes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = NIGHT + minutes * MINUTE if minutes else None
    monkeypatch.setattr(execution, "retry_at", lambda *_: again)
    end(feed, "failed", NIGHT)
    facts = Facts(**Alert.objects.get().facts)
    said = say("failed", facts, Standing(), at=NIGHT, incident="i", base_url="https://autoloader.example")
    assert ("The run is tried again on " in said.text) == (again is not None)
    assert not again or f"{again:%H:%M} UTC" in said.text


@pytest.mark.parametrize("trigger", ["manual", "backfill", "refresh"])
def test_a_run_that_a_person_started_is_not_told(feed: Ingestion, trigger: str) -> None:
    end(feed, "failed", NIGHT, trigger=trigger)
    assert (kinds(feed), Trouble.objects.count()) == ([], 0)


def test_a_retry_that_a_person_asked_for_is_not_told(feed: Ingestion, owner: User) -> None:
    end(feed, "failed", NIGHT, trigger="retry", requested_by=owner)
    assert kinds(feed) == []


def test_nothing_is_told_where_alerts_are_off(owner: User, cluster: Cluster) -> None:
    off = {"alerts_enabled": False, "alert_recipients": ["ops@example.com"]}
    feed = alerted(owner, cluster, quality=off)
    end(feed, "failed", NIGHT)
    end(feed, "partial", NIGHT + MINUTE, files_failed=1)
    end(feed, "failed", NIGHT + MINUTE)
    assert remind(now=NIGHT + 2 * DAY) == 0
    assert kinds(feed) == []


def test_one_that_fails_each_minute_is_told_once_then_after_an_hour_then_each_day(feed: Ingestion) -> None:
    told = []
    at = NIGHT
    while at < NIGHT + 3 * DAY + 2 * HOUR:
        end(feed, "failed", at)
        if remind(now=at):
            told.append(at - NIGHT)
        at += 10 * MINUTE
    assert told == [HOUR, HOUR + DAY, HOUR + 2 * DAY, HOUR + 3 * DAY]
    assert kinds(feed) == ["failed", *["still_failing"] * 4]
    assert Alert.objects.values("incident").distinct().count() == 1


def test_one_that_has_not_run_again_is_told_again_after_a_day_and_not_after_an_hour(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    assert [remind(now=NIGHT + after) for after in (2 * HOUR, DAY - MINUTE, DAY, DAY + HOUR)] == [0, 0, 1, 0]


def test_that_it_recovered_is_told_once_with_how_long_it_was(feed: Ingestion) -> None:
    for minute in range(3):
        end(feed, "failed", NIGHT + minute * MINUTE)
    end(feed, "success", NIGHT + HOUR, files_loaded=4, rows_done=40)
    end(feed, "success", NIGHT + 2 * HOUR)
    assert kinds(feed) == ["failed", "recovered"]
    first, last = Alert.objects.order_by("pk")
    assert first.incident == last.incident
    assert (last.facts["failed_runs"], last.facts["failing_since"]) == (3, NIGHT.isoformat())
    assert remind(now=NIGHT + 9 * DAY) == 0


def test_a_run_by_hand_that_succeeds_ends_the_row_too(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "failed", NIGHT + MINUTE, trigger="manual")
    end(feed, "success", NIGHT + HOUR, trigger="manual")
    assert kinds(feed) == ["failed", "recovered"]
    assert Alert.objects.first().facts["failed_runs"] == 1  # type: ignore[union-attr]


def test_a_run_that_was_cancelled_neither_fails_nor_recovers(feed: Ingestion) -> None:
    end(feed, "cancelled", NIGHT)
    end(feed, "failed", NIGHT + MINUTE)
    end(feed, "cancelled", NIGHT + HOUR)
    assert kinds(feed) == ["failed"]


def test_the_next_row_of_failures_is_told_anew(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "success", NIGHT + MINUTE)
    end(feed, "failed", NIGHT + 2 * MINUTE)
    assert kinds(feed) == ["failed", "recovered", "failed"]
    assert Alert.objects.values("incident").distinct().count() == 2


def test_who_never_heard_of_it_is_not_told_that_it_is_over(owner: User, cluster: Cluster) -> None:
    feed = alerted(owner, cluster, quality={"alerts_enabled": False, "alert_recipients": ["ops@example.com"]})
    end(feed, "failed", NIGHT)
    feed.config["quality"]["alerts_enabled"] = True
    feed.save()
    end(feed, "failed", NIGHT + MINUTE)
    assert kinds(feed) == ["failed"]
    assert Alert.objects.get().facts["failed_runs"] == 2


def test_files_set_aside_are_told_once_an_hour_together(feed: Ingestion) -> None:
    end(feed, "partial", NIGHT, files_failed=2)
    end(feed, "partial", NIGHT + 10 * MINUTE, files_failed=3)
    end(feed, "partial", NIGHT + 20 * MINUTE, files_failed=1, files_held=4)
    assert kinds(feed) == ["files_set_aside"]
    assert remind(now=NIGHT + 30 * MINUTE) == 0
    assert [remind(now=NIGHT + HOUR), remind(now=NIGHT + 9 * HOUR)] == [1, 0]
    told = [(each.facts["aside_runs"], each.facts["aside_files"], each.facts["held_files"]) for each in
            Alert.objects.order_by("pk")]  # fmt: skip
    assert told == [(1, 2, 0), (2, 4, 4)]


def test_a_partial_run_ends_a_row_of_failures_and_says_what_it_left_out(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "partial", NIGHT + MINUTE, files_failed=1)
    assert kinds(feed) == ["failed", "recovered", "files_set_aside"]


def test_a_paused_one_is_not_reminded_of_until_it_goes_on(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    pause(feed)
    assert remind(now=NIGHT + 9 * DAY) == 0
    pause(feed, "active")
    assert remind(now=NIGHT + 9 * DAY) == 1


def test_two_that_remind_at_once_tell_it_once(feed: Ingestion) -> None:
    """The second has found the row before the first has told it."""
    end(feed, "failed", NIGHT)
    real = alerts._remind

    def after_the_other(pk: int, *rest: Any) -> int:
        return real(pk, *rest) + real(pk, *rest)

    with patch.object(alerts, "_remind", after_the_other):
        assert remind(now=NIGHT + DAY) == 1
    assert kinds(feed) == ["failed", "still_failing"]


def test_a_clock_that_is_set_back_holds_up_no_reminder(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT + 400 * DAY)
    end(feed, "failed", NIGHT)
    assert remind(now=NIGHT + MINUTE) == 1
    assert remind(now=NIGHT + 2 * MINUTE) == 0


def test_a_run_that_is_no_longer_the_workers_tells_nothing(feed: Ingestion) -> None:
    run = Run.objects.create(ingestion=feed, status="running", trigger="scheduled", lease_token="mine")
    Run.objects.filter(pk=run.pk).update(lease_token="another's")
    execution._finish(run, Run.Status.FAILED, None)
    assert kinds(feed) == []


def test_a_run_and_its_alert_are_written_together_or_not_at_all(feed: Ingestion) -> None:
    """The ledger can never say that a run failed while the outbox does not."""
    dies = patch.object(AlertDelivery.objects, "bulk_create", side_effect=OSError("the process dies"))
    with dies, pytest.raises(OSError, match="dies"):
        end(feed, "failed", NIGHT)
    assert Run.objects.get().status == "running"
    assert (Alert.objects.count(), Trouble.objects.count()) == (0, 0)


def test_deleting_an_ingestion_takes_its_alerts_along(feed: Ingestion) -> None:
    end(feed, "failed", NIGHT)
    ingestion_delete(ingestion=feed)
    assert (Alert.objects.count(), AlertDelivery.objects.count(), Trouble.objects.count()) == (0, 0, 0)


def test_a_test_goes_to_all_recipients_also_where_alerts_are_off(owner: User, cluster: Cluster) -> None:
    feed = alerted(owner, cluster, quality={"alerts_enabled": False, "alert_recipients": ["a@x", "b@x"]})
    alert = alert_test(ingestion=feed, now=NIGHT)
    assert (alert.kind, [each.recipient for each in waiting()]) == ("test", ["a@x", "b@x"])
    with pytest.raises(ConflictError) as caught:
        alert_test(ingestion=feed, now=NIGHT + timedelta(seconds=9))
    assert caught.value.code == "test_too_soon"
    alert_test(ingestion=feed, now=NIGHT + timedelta(seconds=10))


def test_without_a_recipient_there_is_nobody_to_test(owner: User, cluster: Cluster) -> None:
    feed = alerted(owner, cluster, quality={})
    with pytest.raises(ConfigError) as caught:
        alert_test(ingestion=feed)
    assert caught.value.code == "no_recipient"
