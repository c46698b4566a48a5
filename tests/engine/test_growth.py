"""Which names are seen to grow, and why others are not."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from ingestions.engine.growth import MOST_FOLDERS, Layout, Name, Sample, find_layout

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [BEGIN + timedelta(days=day) for day in range(60)]
LATE = timedelta(hours=48)
_random = random.Random(7)


def _uuid(version: int = 4) -> str:
    return str(uuid.UUID(int=_random.getrandbits(128), version=version))


def _uuid7(at: datetime) -> str:
    text = f"{int(at.timestamp() * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7{_uuid()[15:]}"


def _ulid(at: datetime) -> str:
    value, text = int(at.timestamp() * 1000), ""
    for _ in range(10):
        value, rest = divmod(value, 32)
        text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[rest] + text
    return text + "".join(_random.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=16))


def found(keys: list[str], *, step: timedelta = timedelta(minutes=1), folders: int = 1) -> Layout | str:
    """Of names that came one after the other, in order of the names."""
    sample = Sample()
    for number, key in enumerate(sorted(keys)):
        sample.add(Name(key, BEGIN + number * step))
    return find_layout(sample.names(), [1, folders, folders, folders], LATE)


@pytest.mark.parametrize(
    ("keys", "depth"),
    [
        ([f"orders-{number:06d}.csv" for number in range(300)], 0),
        ([f"{day:%Y%m%dT%H%M%S}Z-{_uuid()}.json" for day in DAYS for _ in range(3)], 0),
        ([f"{day:%Y-%m-%d}.csv" for day in DAYS], 0),
        ([f"events-{_ulid(day)}.json" for day in DAYS], 0),
        ([f"{_uuid7(day)}.json" for day in DAYS], 0),
        ([f"dt={day:%Y-%m-%d}/{number:04d}.csv" for day in DAYS for number in range(9)], 0),
        ([f"shop={shop}/{number:06d}.csv" for shop in ("ab", "cd") for number in range(50)], 1),
        ([f"a/{shop}/{number:06d}.csv" for shop in ("x", "y") for number in range(50)], 2),
        ([f"it's\n☃/{number:06d}.csv" for number in range(50)], 0),
    ],
)
def test_names_that_sort_behind_the_earlier_ones_are_seen_to_grow(keys: list[str], depth: int) -> None:
    layout = found(keys, folders=2)
    assert isinstance(layout, Layout), layout
    assert (layout.kind, layout.depth) == ("names", depth)


@pytest.mark.parametrize(
    ("form", "prefix", "date", "depth"),
    [
        ("dt={0:%Y-%m-%d}/{1}.csv", "dt=", "%Y-%m-%d", 0),
        ("{0:%Y/%m/%d}/{1}.csv", "", "%Y/%m/%d", 0),
        ("year={0:%Y}/month={0:%m}/day={0:%d}/{1}.csv", "", "year=%Y/month=%m/day=%d", 0),
        ("{0:%Y%m%d}-{1}.csv", "", "%Y%m%d", 0),
        ("{2}/dt={0:%Y-%m-%d}/{1}.csv", "dt=", "%Y-%m-%d", 1),
    ],
)
def test_dates_with_any_names_below_them_are_seen(form: str, prefix: str, date: str, depth: int) -> None:
    keys = [form.format(day, _uuid(), shop) for shop in ("eu", "us") for day in DAYS for _ in range(20)]
    layout = found(keys, step=timedelta(0), folders=2)
    assert isinstance(layout, Layout), layout
    assert (layout.kind, layout.prefix, layout.date, layout.depth) == ("dates", prefix, date, depth)
    assert layout.bound(datetime(2026, 2, 3, 4, tzinfo=UTC)).endswith(datetime(2026, 2, 3, tzinfo=UTC).strftime(date))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ([], "no name has been seen"),
        ([f"{_uuid()}.csv" for _ in range(100)], "show no date, ULID or counter"),
        (["apples.csv", "pears.csv"], "show no date, ULID or counter"),
        ([f"orders-{number}.csv" for number in range(120)], "without leading zeros"),
        ([f"v2-{_uuid()}.csv" for _ in range(100)], "go on in any order"),
    ],
)
def test_names_that_do_not_grow_are_refused_with_the_reason(keys: list[str], why: str) -> None:
    assert why in str(found(keys))


def test_numbers_that_files_do_not_come_by_are_refused() -> None:
    """Like customers' numbers: of one length, and in no order of time."""
    numbers = _random.sample(range(10_000), 500)
    at = {f"customer-{number:05d}.csv": BEGIN + place * timedelta(minutes=30) for place, number in enumerate(numbers)}
    names = [Name(key, at[key]) for key in sorted(at)]
    assert "against the order of their names" in str(find_layout(names, [1, 1, 1, 1], LATE))


def test_files_that_were_all_copied_in_one_second_are_judged_by_their_names_alone() -> None:
    keys = [f"orders-{number:06d}.csv" for number in range(100_000)]
    assert isinstance(found(keys, step=timedelta(0)), Layout)


def test_too_many_folders_are_not_listed_one_by_one() -> None:
    keys = [f"{_uuid()}/{number:04d}.csv" for number in range(300)]
    assert isinstance(found(keys, folders=MOST_FOLDERS + 1), str)


def test_a_sample_of_many_names_is_small_and_in_order() -> None:
    sample = Sample()
    for number in range(100_000):
        sample.add(Name(f"{number:06d}", BEGIN))
    keys = [name.key for name in sample.names()]
    assert keys == sorted(set(keys))
    assert (keys[0], keys[-1]) == ("000000", "099999")
    assert Sample.LAST <= len(keys) <= Sample.KEPT + 2 * Sample.LAST
