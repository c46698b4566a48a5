"""What a schedule may not say although each of its values has the right type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.config import IngestionConfig
from ingestions.engine.schedule import check_zone, cron_fault, is_time_of_day

Fault: TypeAlias = tuple[str, str, str, str]


def faults(given: IngestionConfig) -> Iterator[Fault]:
    """(field, code, message, hint) of each."""
    schedule = given.schedule
    for field, zone in (("format.timezone", given.format.timezone), ("schedule.timezone", schedule.timezone)):
        try:
            check_zone(zone, field)
        except ConfigError as error:
            yield (field, error.code, error.message, error.hint)
    field = "schedule.cron_expression"
    cron = schedule.cron_expression
    if schedule.frequency == "custom" and cron is None:
        yield (field, "missing_field", "The frequency is custom, and there is no cron expression.",
                    "Give one, such as 30 2 * * MON-FRI.")  # fmt: skip
    if cron is not None:
        if schedule.frequency != "custom":
            yield (field, "contradiction", "A cron expression is given, and the frequency is not custom.",
                        "Set the frequency to custom, or leave the expression out.")  # fmt: skip
        if (why := cron_fault(cron)) is not None:
            yield (field, "bad_cron", f"The cron expression is not usable: {why}.",
                        "Write five fields, such as 30 2 * * MON-FRI.")  # fmt: skip
    if schedule.time is not None and not is_time_of_day(schedule.time):
        yield ("schedule.time", "bad_time", "The time is not one of a day, written HH:MM.", "Write it like 02:30.")
    yield from _times(schedule)
    yield from _start(schedule)


#: seconds between two fires, which a delay must not reach.
_BETWEEN = {"hourly": 3600, "daily": 86_400, "weekly": 86_400, "custom": 3600}


def _times(schedule: config.Schedule) -> Iterator[Fault]:
    if schedule.weekday is not None and schedule.frequency != "weekly":
        yield ("schedule.weekday", "contradiction", "A day is given, and the frequency is not weekly.",
                    "Set the frequency to weekly, or leave the day out.")  # fmt: skip
    most = _BETWEEN.get(schedule.frequency or "", 0)
    if schedule.jitter_seconds > most:
        yield ("schedule.jitter_seconds", "contradiction",
                    f"With this frequency a start can be at most {most:,} seconds late." if most else
                    "Only what starts at certain times can start late.", "Give less, or leave it out.")  # fmt: skip


def _start(schedule: config.Schedule) -> Iterator[Fault]:
    backfill = schedule.backfill
    if backfill.start_date is None and (schedule.start == "from_date" or backfill.enabled):
        yield ("schedule.backfill.start_date", "missing_field", "Loading starts from a date, and there is none.",
                    "Give it, such as 2025-01-01T00:00:00Z.")  # fmt: skip
    if backfill.enabled and schedule.start == "new_only":
        yield ("schedule.backfill.enabled", "contradiction",
                    "Only new files are wanted (start “new_only”), and older ones are (backfill).",
                    "Choose one of these.")  # fmt: skip
