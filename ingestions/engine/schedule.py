"""When runs are due: the form of cron expressions, times of day and time zones. Nothing here looks at a clock."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator

from autoloader.lib.errors import ConfigError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
#: name, smallest and largest value, names of values (the first stands for the smallest).
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_LONGEST = 200
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
#: groups of names that the zone database keeps for old programs only, and names of it that are no zone of a place.
_OLD_GROUPS = ("US/", "Canada/", "Brazil/", "Chile/", "Mexico/", "SystemV/")


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression of five fields; ``None`` for a good one. Each field is ``*`` or a list of
    values and ranges, a ``*`` or a range with an optional step: ``*/15``, ``1-5``, ``0,30``, ``MON-FRI``.
    """
    if len(expression) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} fields instead of five (minute, hour, day of the month, month, day of the week)"
    values = []
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        found: set[int] = set()
        for item in part.split(","):
            got = _item(item, low, high, names)
            if isinstance(got, str):
                return f"“{item}” is not usable as {name}: {got}"
            found.update(got)
        values.append(found)
    days, months = values[2], values[3]
    if parts[4] == "*" and all(day > _DAYS_OF_MONTH[month - 1] for day in days for month in months):
        return "there is no such day in these months"
    return None


def _item(text: str, low: int, high: int, names: tuple[str, ...]) -> range | str:
    body, slash, step_text = text.partition("/")
    if slash and (not _digits(step_text) or not 1 <= int(step_text) <= high):
        return f"a step is a number from 1 to {high}"
    step = int(step_text) if slash else 1
    if body == "*":
        return range(low, high + 1, step)
    first, dash, last = body.partition("-")
    start, end = _value(first, low, names), _value(last if dash else first, low, names)
    if start is None or end is None or not (low <= start <= high and low <= end <= high):
        return f"values are {low} to {high}" + (f", or {names[0]} to {names[-1]}" if names else "")
    if start > end:
        return "the range ends before it begins"
    if slash and not dash:
        return "a step needs a range or * before it"
    return range(start, end + 1, step)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4


def _value(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if _digits(text):
        return int(text)
    return names.index(text.upper()) + low if text.upper() in names else None


def is_time_of_day(text: str) -> bool:
    """``HH:MM``, 00:00 to 23:59."""
    return _TIME.fullmatch(text) is not None


def check_zone(name: str, field: str) -> None:
    """Raises ConfigError unless ``name`` is a zone that every machine, and Spark, knows by this name."""
    if name in _zones():
        return
    meant = next((zone for zone in _zones() if zone.lower() == name.lower()), None)
    if meant:
        hint = f"Upper and lower case count: write {meant}."
    elif name.startswith(_OLD_GROUPS) or ("/" not in name and name in zoneinfo.available_timezones()):
        hint = "It is an old name that is kept for old programs only; use that of a city, such as America/New_York."
    else:
        hint = "Use an IANA name, such as Europe/Berlin, or UTC."
    raise ConfigError("unknown_timezone", f"There is no time zone {name!r}.", hint, field=field)


def _zones() -> frozenset[str]:
    return frozenset(_listed())


def _listed() -> Iterator[str]:
    yield from ("UTC", "GMT")
    for name in zoneinfo.available_timezones():
        if "/" in name and not name.startswith(_OLD_GROUPS):
            yield name
