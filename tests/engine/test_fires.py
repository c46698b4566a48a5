"""When schedules fire, against a model that looks at every minute of the zone's clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import Schedule
from ingestions.engine.fires import Timetable, cron_of, timetable

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")
MINUTE = timedelta(minutes=1)


def fires(schedule: dict[str, Any], start: str, count: int) -> list[str]:
    """The next fires as the clocks of the schedule's zone show them."""
    table = timetable(Schedule.model_validate(schedule))
    assert table is not None
    return [f"{at.astimezone(table.zone):%d %H:%M %z}" for at in table.first(count, datetime.fromisoformat(start))]


BERLIN = {"timezone": "Europe/Berlin"}


def test_a_time_that_comes_twice_fires_once() -> None:
    daily = {"frequency": "daily", "time": "02:30", **BERLIN}
    assert fires(daily, "2025-10-25T12:00Z", 2) == ["26 02:30 +0200", "27 02:30 +0100"]
    assert fires(daily, "2025-10-26T00:45Z", 1) == ["27 02:30 +0100"], "between the two"


def test_a_time_that_never_comes_fires_at_the_next_instant() -> None:
    daily = {"frequency": "daily", "time": "02:30", **BERLIN}
    assert fires(daily, "2025-03-29T12:00Z", 2) == ["30 03:00 +0200", "31 02:30 +0200"]
    assert fires(daily, "2025-03-30T01:00Z", 1) == ["31 02:30 +0200"], "it has fired at the leap"


def test_several_times_that_one_leap_skips_are_one_fire() -> None:
    quarters = {"frequency": "custom", "cron_expression": "*/15 2 * * *", **BERLIN}
    assert fires(quarters, "2025-03-29T12:00Z", 2) == ["30 03:00 +0200", "31 02:00 +0200"]


def test_every_hour_means_every_hour_that_passes() -> None:
    hourly = {"frequency": "hourly", "time": "00:30", **BERLIN}
    assert fires(hourly, "2025-10-25T23:45Z", 3) == ["26 02:30 +0200", "26 02:30 +0100", "26 03:30 +0100"]
    assert fires(hourly, "2025-03-29T23:45Z", 3) == ["30 01:30 +0100", "30 03:30 +0200", "30 04:30 +0200"]


def test_where_clocks_are_put_back_half_an_hour_each_time_they_show_the_minute_counts() -> None:
    hourly = {"frequency": "hourly", "time": "00:45", "timezone": "Australia/Lord_Howe"}
    assert fires(hourly, "2025-04-05T14:00Z", 3) == ["06 01:45 +1100", "06 01:45 +1030", "06 02:45 +1030"]


def test_weekly_is_monday_unless_another_day_is_said() -> None:
    assert fires({"frequency": "weekly"}, "2026-11-26T00:00Z", 2) == ["30 00:00 +0000", "07 00:00 +0000"]
    friday = {"frequency": "weekly", "weekday": "friday", "time": "18:05"}
    assert fires(friday, "2026-11-26T00:00Z", 1) == ["27 18:05 +0000"]


def test_a_day_that_a_zone_left_out_fires_when_it_is_over() -> None:
    """Samoa had no 30 December in 2011."""
    noon = {"frequency": "daily", "time": "12:00", "timezone": "Pacific/Apia"}
    told = fires(noon, "2011-12-29T12:00Z", 3)
    assert told == ["29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400"]


def test_a_leap_day_is_waited_for() -> None:
    leap = {"frequency": "custom", "cron_expression": "0 0 29 2 *", **BERLIN}
    table = timetable(Schedule.model_validate(leap))
    assert table is not None
    assert table.next(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 28, 23, tzinfo=UTC), "2100 has none"


def test_by_hand_and_continuous_have_no_times() -> None:
    assert cron_of(Schedule()) is None
    assert timetable(Schedule(frequency="continuous")) is None


def test_a_zone_that_this_machine_does_not_know_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        timetable(Schedule(frequency="daily", timezone="Europe/Atlantis"))
    assert refused.value.field == "schedule.timezone"
    assert "Europe/Atlantis" in refused.value.message


def test_jitter_delays_each_ingestion_by_a_time_of_its_own() -> None:
    schedule = Schedule(frequency="daily", time="02:00", jitter_seconds=600)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = {}
    for key in map(str, range(200)):
        table = timetable(schedule, key=key)
        assert table is not None
        assert table == timetable(schedule, key=key)
        first, second = table.first(2, start)
        assert second - first == timedelta(days=1)
        assert table.first(1, first - timedelta(seconds=1)) == [first]
        found[key] = first
    delays = {at - datetime(2026, 1, 1, 2, tzinfo=UTC) for at in found.values()}
    assert min(delays) >= timedelta(0)
    assert max(delays) <= timedelta(seconds=600)
    assert len(delays) > 100, "they are spread"


# ---- against a model


def _matches(wall: datetime, minutes: set[int], hours: set[int], weekdays: set[int]) -> bool:
    return wall.minute in minutes and wall.hour in hours and wall.isoweekday() % 7 in weekdays


def model(
    zone: ZoneInfo, start: datetime, end: datetime, minutes: set[int], hours: set[int], weekdays: set[int]
) -> Iterator[datetime]:
    """Minute by minute, as somebody would who looks at the clock on the wall and keeps a list of the times they saw."""
    every_hour = len(hours) == 24
    begin = (start - timedelta(days=2)).replace(second=0, microsecond=0)
    seen: set[datetime] = set()
    before = begin.astimezone(zone).replace(tzinfo=None) - MINUTE
    instant = begin
    while instant <= end:
        wall = instant.astimezone(zone).replace(tzinfo=None)
        skipped = [before + MINUTE * n for n in range(1, max(int((wall - before) / MINUTE), 0))]
        shown = _matches(wall, minutes, hours, weekdays) and (every_hour or wall not in seen)
        leapt = not every_hour and any(_matches(each, minutes, hours, weekdays) for each in skipped)
        if (shown or leapt) and instant > start:
            yield instant
        seen.update((wall, *skipped))
        before, instant = wall, instant + MINUTE


def _field(values: set[int], whole: int) -> str:
    return "*" if len(values) == whole else ",".join(map(str, sorted(values)))


def _transitions(zone: ZoneInfo, year: int) -> list[datetime]:
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(366 * 24)]
    return [b for a, b in pairwise(hours) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]


CHANGES = [
    (ZoneInfo(name), at) for name in ZONES for year in (2024, 2025, 2026) for at in _transitions(ZoneInfo(name), year)
]


def test_the_zones_do_change_their_clocks() -> None:
    assert len(CHANGES) >= 4 * 3 * 2


@settings(max_examples=150, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    offset=st.integers(-30 * 3600, 3 * 3600),
    minutes=st.one_of(st.just(set(range(60))), st.sets(st.integers(0, 59), min_size=1, max_size=3)),
    hours=st.one_of(
        st.just(set(range(24))),
        st.sets(st.integers(0, 4), min_size=1, max_size=3),
        st.sets(st.integers(0, 23), min_size=1),
    ),
    weekdays=st.one_of(st.just(set(range(7))), st.sets(st.integers(0, 6), min_size=1)),
)
def test_every_fire_comes_once_and_none_is_missed(
    change: tuple[ZoneInfo, datetime], offset: int, minutes: set[int], hours: set[int], weekdays: set[int]
) -> None:
    zone, at = change
    start = at + timedelta(seconds=offset)
    end = start + timedelta(hours=40)
    cron = f"{_field(minutes, 60)} {_field(hours, 24)} * * {_field(weekdays, 7)}"
    found = []
    for fire in Timetable(cron, zone).after(start):
        if fire > end:
            break
        found.append(fire)
    assert found == list(model(zone, start, end, minutes, hours, weekdays)), cron


@settings(max_examples=60, deadline=None)
@given(
    change=st.sampled_from(CHANGES), offset=st.integers(-7200, 7200), hour=st.integers(0, 4), minute=st.integers(0, 59)
)
def test_asked_one_after_the_other_the_fires_are_the_same(
    change: tuple[ZoneInfo, datetime], offset: int, hour: int, minute: int
) -> None:
    """As a scheduler does, which asks for the next one from whatever instant it looks at."""
    zone, at = change
    table = Timetable(f"{minute} {hour} * * *", zone, timedelta(seconds=37))
    instant = at - timedelta(days=1) + timedelta(seconds=offset)
    walked = []
    for _ in range(3):
        following = table.next(instant)
        assert following is not None
        walked.append(following)
        instant = following + timedelta(milliseconds=1)
    assert walked == table.first(3, at - timedelta(days=1) + timedelta(seconds=offset))
