from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingestions.engine.config import Schedule
from ingestions.engine.fires import timetable
from ingestions.engine.schedule_words import schedule_words, time_words, times_words


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({}, "by hand"),
        ({"frequency": "continuous"}, "all the time, a look every 5 seconds"),
        ({"frequency": "continuous", "poll_seconds": 1}, "all the time, a look every second"),
        ({"frequency": "hourly"}, "every hour, on the hour, UTC"),
        ({"frequency": "hourly", "time": "00:05"}, "every hour at 5 past, UTC"),
        ({"frequency": "daily", "time": "02:30", "timezone": "Europe/Berlin"}, "every day at 02:30, Europe/Berlin"),
        ({"frequency": "weekly", "time": "18:00"}, "every Monday at 18:00, UTC"),
        ({"frequency": "weekly", "weekday": "sunday"}, "every Sunday at 00:00, UTC"),
        ({"frequency": "daily", "jitter_seconds": 60}, "every day at 00:00, UTC, up to 60 seconds late"),
        ({"frequency": "custom", "cron_expression": "30 2 * * MON-FRI"}, "at 02:30 on Monday through Friday, UTC"),
        ({"frequency": "custom", "cron_expression": "0 2 L * *"}, "at 02:00 on the last day of every month, UTC"),
    ],
)
def test_a_schedule_in_words(schedule: dict[str, Any], said: str) -> None:
    assert schedule_words(Schedule.model_validate(schedule)) == said


def test_the_next_five_times_in_words_across_a_change_of_the_clocks() -> None:
    table = timetable(Schedule(frequency="daily", time="02:30", timezone="Europe/Berlin"))
    assert table is not None
    assert times_words(table.first(5, datetime(2025, 3, 28, 12, tzinfo=UTC)), table.zone) == [
        "Saturday 29 March 2025, 02:30 (UTC+1)",
        "Sunday 30 March 2025, 03:00 (UTC+2)",
        "Monday 31 March 2025, 02:30 (UTC+2)",
        "Tuesday 1 April 2025, 02:30 (UTC+2)",
        "Wednesday 2 April 2025, 02:30 (UTC+2)",
    ]


def test_offsets_of_half_hours_and_seconds_are_said() -> None:
    at = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)
    assert time_words(at, ZoneInfo("Asia/Kolkata")) == "Thursday 1 January 2026, 17:30:07 (UTC+5:30)"
    assert time_words(at, ZoneInfo("America/St_Johns")) == "Thursday 1 January 2026, 08:30:07 (UTC-3:30)"
    assert time_words(at, UTC) == "Thursday 1 January 2026, 12:00:07 (UTC)"
