"""The instants at which a schedule fires, right across the changes of its zone's clocks. Nothing here looks at a clock.

A schedule that names hours goes by the clock on the wall: a time that comes twice fires the first time only, and one
that the clock leaps over fires at the instant of the leap. One that means every hour goes by elapsed time: it fires
whenever the clock shows one of its minutes, also in an hour that comes twice, and not for an hour that never comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import Schedule

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
#: no zone changes its clocks twice within it.
STEP = timedelta(hours=12)
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


@dataclass(frozen=True)
class Timetable:
    """When an ingestion is due: ``cron`` in ``zone``, and ``delay`` after each of these instants."""

    cron: str
    zone: tzinfo
    delay: timedelta = timedelta(0)

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Instants in UTC, rising, all of them later than ``instant``; it ends where nothing follows in 50 years."""
        for fire in _fires(self.cron, self.zone, instant.astimezone(UTC) - self.delay):
            yield fire + self.delay

    def next(self, instant: datetime) -> datetime | None:
        return next(self.after(instant), None)

    def first(self, count: int, instant: datetime) -> list[datetime]:
        return list(islice(self.after(instant), count))


def timetable(schedule: Schedule, *, key: str = "") -> Timetable | None:
    """``None`` for one that has no times: by hand, or continuous. ``key`` tells ingestions apart: within the jitter
    each has a delay of its own, always the same. Raises ConfigError (``unknown_timezone``) where this machine does not
    know the zone, or where the times are none (``invalid_schedule``)."""
    try:
        cron = cron_of(schedule)
        if cron is None:
            return None
        CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError):
        raise ConfigError(
            "invalid_schedule", "The times of the schedule are not valid.", "Correct them.", field="schedule"
        ) from None
    return Timetable(cron, zone_of(schedule.timezone), timedelta(seconds=_delay(key, schedule.jitter_seconds)))


def cron_of(schedule: Schedule) -> str | None:
    """The schedule as a cron expression; ``None`` for one that has no times."""
    hour, minute = (int(part) for part in (schedule.time or "00:00").split(":"))
    if schedule.frequency == "hourly":
        return f"{minute} * * * *"
    if schedule.frequency == "daily":
        return f"{minute} {hour} * * *"
    if schedule.frequency == "weekly":
        return f"{minute} {hour} * * {WEEKDAYS.index(schedule.weekday or 'monday')}"
    return schedule.cron_expression if schedule.frequency == "custom" else None


def zone_of(name: str) -> tzinfo:
    """Raises ConfigError for a zone that this machine does not know (any more)."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            "unknown_timezone",
            f"This machine knows no time zone {name!r}; it may have been renamed.",
            "Choose its present name, or install the zone data it is in (the package tzdata).",
            field="schedule.timezone",
        ) from None


def _delay(key: str, jitter_seconds: int) -> int:
    """Seconds, 0 to ``jitter_seconds``: spread evenly over ingestions, and the same whenever it is asked."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (jitter_seconds + 1)


def _fires(cron: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    return _elapsed(cron, zone, after) if _every_hour(cron) else _by_the_wall(cron, zone, after)


def _every_hour(cron: str) -> bool:
    return CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)).hours == set(range(24))


def _by_the_wall(cron: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    last = after
    for wall in CronSim(cron, _wall(after, zone)):
        if (fire := _instant(wall, zone)) > last:  # several times of one leap are one fire
            yield fire
            last = fire


def _instant(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the clocks of the zone show ``wall``, or at which they leap over it."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(instant, zone) == wall:
        return instant
    # Reckoned by the offset before the leap, it lies after it by as much as it was leapt over.
    return _change(zone, instant - 2 * DAY, instant) or instant


def _elapsed(cron: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    while (fire := _next_elapsed(cron, zone, after)) is not None:
        yield fire
        after = fire


def _next_elapsed(cron: str, zone: tzinfo, after: datetime) -> datetime | None:
    """Looks at one stretch of time after the other in which the offset does not change."""
    within, start, offset = after, after, _offset(after, zone)
    while (wall := next(CronSim(cron, _naive(start + offset)), None)) is not None:
        fire = (wall - offset).replace(tzinfo=UTC)
        change = _change(zone, within, fire)
        if change is None:
            return fire
        within, start, offset = change, change - SECOND, _offset(change, zone)
    return None


def _change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first instant after ``start``, up to ``end``, at which the zone's clocks are put forward or back."""
    while start < end:
        step = min(start + STEP, end)
        if _offset(step, zone) != _offset(start, zone):
            return _between(zone, start, step)
        start = step
    return None


def _between(zone: tzinfo, start: datetime, end: datetime) -> datetime:
    """To the second, of whole seconds."""
    before = _offset(start, zone)
    start, end = start.replace(microsecond=0), end.replace(microsecond=0) + SECOND * bool(end.microsecond)
    while end - start > SECOND:
        middle = start + SECOND * int((end - start) / SECOND / 2)
        if _offset(middle, zone) == before:
            start = middle
        else:
            end = middle
    return end


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks of the zone show at this instant."""
    return _naive(instant.astimezone(zone))


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None, fold=0)
