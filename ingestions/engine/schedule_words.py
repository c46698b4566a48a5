"""Schedules and their next times as people say them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim

from autoloader.lib.words import plural
from ingestions.engine.config import Schedule
from ingestions.engine.fires import cron_of


def schedule_words(schedule: Schedule) -> str:
    """``every day at 02:30, Europe/Berlin``; ``by hand``; ``all the time, every 5 seconds``."""
    if schedule.frequency == "continuous":
        every = "second" if schedule.poll_seconds == 1 else plural(schedule.poll_seconds, "second")
        return f"all the time, a look every {every}"
    cron = cron_of(schedule)
    if cron is None:
        return "by hand"
    said = f"{_rhythm(schedule, cron)}, {schedule.timezone}"
    if schedule.jitter_seconds:
        said += f", up to {plural(schedule.jitter_seconds, 'second')} late"
    return said


def _rhythm(schedule: Schedule, cron: str) -> str:
    time = schedule.time or "00:00"
    if schedule.frequency == "hourly":
        return f"every hour at {int(time[3:])} past" if int(time[3:]) else "every hour, on the hour"
    if schedule.frequency == "daily":
        return f"every day at {time}"
    if schedule.frequency == "weekly":
        return f"every {(schedule.weekday or 'monday').capitalize()} at {time}"
    explained = CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)).explain()
    return f"{explained[:1].lower()}{explained[1:]}"


def time_words(at: datetime, zone: tzinfo) -> str:
    """``Thursday 26 November 2026, 02:30 (UTC+1)``, as the clocks of the zone show it."""
    local = at.astimezone(zone)
    second = f":{local:%S}" if local.second else ""
    return f"{local:%A} {local.day} {local:%B %Y}, {local:%H:%M}{second} ({_offset(local)})"


def times_words(times: Sequence[datetime], zone: tzinfo) -> list[str]:
    return [time_words(at, zone) for at in times]


def _offset(local: datetime) -> str:
    minutes = int((local.utcoffset() or timedelta(0)).total_seconds() // 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}{f':{rest:02}' if rest else ''}"
