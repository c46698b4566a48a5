"""When an ingestion is due next: reckoned whenever its status or its schedule changes, and by each fire."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from cronsim import CronSimError
from django.utils import timezone
from pydantic import ValidationError

from autoloader.lib.errors import AutoloaderError
from ingestions.engine.config import IngestionConfig, Schedule
from ingestions.engine.fires import Timetable, timetable, zone_of
from ingestions.engine.schedule_words import schedule_words, times_words
from ingestions.models import Ingestion

#: an instant farther ahead than this was not reckoned by a sound clock.
SOUND = timedelta(minutes=1)
NO_PLAN: dict[str, Any] = {"next_run_at": None, "next_run_set_at": None, "behind_for": None, "next_poll_at": None}


def timetable_of(schedule: Schedule, pk: uuid.UUID) -> Timetable | None:
    """Raises ConfigError where this machine does not know the zone."""
    return timetable(schedule, key=str(pk))


def planned(*, pk: uuid.UUID, schedule: Schedule, status: str, now: datetime | None = None) -> dict[str, Any]:
    """Values of the ingestion's row, as it is due from now on. ConfigError as of :func:`timetable_of`."""
    now = now or timezone.now()
    table = timetable_of(schedule, pk) if status == Ingestion.Status.ACTIVE else None
    if table is not None:
        return {"next_run_at": table.next(now), "next_run_set_at": now, "next_poll_at": None}
    polls = status == Ingestion.Status.ACTIVE and schedule.frequency == "continuous"
    return NO_PLAN | {"next_poll_at": now if polls else None}


def plan_of_edit(row: Ingestion, config: IngestionConfig, status: str) -> dict[str, Any]:
    """What an edit changes of the plan. Where the times stay as they were a fire that is due stays so too."""
    same = status == row.status and timetable_of(config.schedule, row.pk) == _table_now(row)
    if same and config.schedule.frequency != "continuous":
        return {} if row.next_poll_at is None else {"next_poll_at": None}
    return planned(pk=row.pk, schedule=config.schedule, status=status) | {
        "schedule_note": "",
        "schedule_noted_at": None,
    }


def _table_now(row: Ingestion) -> Timetable | None:
    try:
        return timetable_of(row.configuration().schedule, row.pk)
    except AutoloaderError:  # a zone that is gone, and that the edit may mend
        return None


def told(row: Ingestion) -> str:
    """Its schedule in words."""
    try:
        return schedule_words(Schedule.model_validate(row.config["schedule"]))
    except (ValueError, LookupError, CronSimError):
        return "not valid"


def next_times_told(row: Ingestion, count: int = 5, now: datetime | None = None) -> list[str]:
    """Its next times in words, as the clocks of its own zone show them."""
    times = next_times(row, count, now)
    return times_words(times, zone_of(row.config["schedule"]["timezone"])) if times else []


def next_times(row: Ingestion, count: int = 5, now: datetime | None = None) -> list[datetime]:
    """The next instants at which it is due; none where nothing starts it by itself."""
    if row.status != Ingestion.Status.ACTIVE or row.next_run_at is None:
        return []
    try:
        table = timetable_of(Schedule.model_validate(row.config["schedule"]), row.pk)
    except (AutoloaderError, ValidationError):
        table = None
    if table is None:
        return []
    return [row.next_run_at, *table.first(count - 1, max(row.next_run_at, now or timezone.now()))]
