from __future__ import annotations

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.partition_text import sort_fault, transform_fault
from ingestions.engine.schedule import check_zone, cron_fault, is_time_of_day


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "*/15 * * * *", "0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 2 1", "59 23 31 12 7", "0 0 * JAN SUN-SAT/2",
     "0 2 L * *"],
)  # fmt: skip
def test_a_good_expression_has_no_fault(expression: str) -> None:
    assert cron_fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("* * *", "3 fields instead of five"),
        ("* * * * * *", "6 fields instead of five"),
        ("61 * * * *", "bad minute"),
        ("* * * * FOO", "bad day-of-week"),
        ("10-5 * * * *", "bad minute"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 31 4,6 *", "day-of-month"),
        ("0 " * 200, "longer"),
    ],
)
def test_a_fault_says_what_is_wrong(expression: str, told: str) -> None:
    assert told in (cron_fault(expression) or "")


def test_times_of_day() -> None:
    assert is_time_of_day("00:00")
    assert is_time_of_day("23:59")
    assert not is_time_of_day("24:00")
    assert not is_time_of_day("12:00\n")


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Etc/GMT+5", "Asia/Kolkata"])
def test_zones_that_everybody_knows(name: str) -> None:
    check_zone(name, "f")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("utc", "write UTC"),
        ("EUROPE/BERLIN", "write Europe/Berlin"),
        ("US/Pacific", "old name"),
        ("Turkey", "old name"),
        ("posix/UTC", "IANA"),
        ("", "IANA"),
        ("+02:00", "IANA"),
    ],
)
def test_other_names_are_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_zone(name, "schedule.timezone")
    assert hint in refused.value.hint
    assert refused.value.field == "schedule.timezone"


@pytest.mark.parametrize("text", ["ts", "a b", "days(ts)", "BUCKET (16, id)", "`f(x)`", "a.b"])
def test_transforms(text: str) -> None:
    assert transform_fault(text) is None


@pytest.mark.parametrize("text", ["weeks(ts)", "days(ts, 3)", "bucket(x, id)", "bucket(99999999999, id)", "a)", "`a"])
def test_what_is_no_transform(text: str) -> None:
    assert transform_fault(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("ts", True),
        ("a.b DESC", True),
        ("ts asc nulls first", True),
        ("ts NULLS LAST", True),
        ("days(ts) desc", True),
        ("ts desc nulls", False),
        ("a b", False),
        ("`a b` desc", True),
        ("weeks(ts)", False),
    ],
)
def test_sort_orders(text: str, good: bool) -> None:
    assert (sort_fault(text) is None) == good
