"""When runs are due: the form of cron expressions, times of day and time zones. Nothing here looks at a clock."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from autoloader.lib.errors import ConfigError

_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_LONGEST = 200
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
#: groups of names that the zone database keeps for old programs only, and names of it that are no zone of a place.
_OLD_GROUPS = ("US/", "Canada/", "Brazil/", "Chile/", "Mexico/", "SystemV/")


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression of five fields, in Debian's dialect (``*/15``, ``1-5``, ``0,30``,
    ``MON-FRI``, ``L``); ``None`` for one that will fire.
    """
    if len(expression) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    count = len(expression.split())
    if count != len(_FIELDS):  # the library would take a sixth for seconds
        return f"it has {count} fields instead of five ({', '.join(_FIELDS)})"
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error)[:1].lower() + str(error)[1:]
    except StopIteration:
        return "it never fires"
    return None


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
