"""Partition transforms and sort orders as people write them: their form, before any table's columns are known."""

from __future__ import annotations

import re

_CALL = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_BY_TIME = frozenset(["year", "years", "month", "months", "day", "days", "date", "hour", "hours", "date_hour"])
_QUOTED = re.compile(r"`(?:[^`]|``)+`")
_PLAIN = re.compile(r"\w+(?:\.\w+)*")
_DIRECTION = re.compile(r"(?i)\s+(?:asc|desc)(?:\s+nulls\s+(?:first|last))?$|\s+nulls\s+(?:first|last)$")
_LARGEST = 2**31 - 1


def transform_fault(text: str) -> str | None:
    """What is wrong with a column or transform (``days(ts)``, ``bucket(16, id)``); ``None`` where nothing is."""
    text = text.strip()
    if _QUOTED.fullmatch(text):
        return None
    call = _CALL.fullmatch(text)
    if call is None:
        return None if "(" not in text and ")" not in text and _balanced(text) else "its brackets do not match"
    function, arguments = call[1].lower(), [part.strip() for part in call[2].split(",")]
    numbers = [part for part in arguments if part.isascii() and part.isdecimal()]
    columns = [part for part in arguments if part not in numbers]
    if function in _BY_TIME:
        return None if len(columns) == 1 and columns[0] and not numbers else f"{function} takes one column"
    if function in ("bucket", "truncate"):
        if len(columns) != 1 or not columns[0] or len(numbers) != 1:
            return f"{function} takes a number and a column"
        if len(numbers[0]) > 10 or not 1 <= int(numbers[0]) <= _LARGEST:
            return f"the number of {function} is from 1 to {_LARGEST:,}"
        return None
    return f"there is no transform {function}"


def sort_fault(text: str) -> str | None:
    """What is wrong with a sort column (``ts``, ``ts desc``, ``bucket(16, id) asc nulls last``)."""
    what = _DIRECTION.sub("", text.strip())
    if _QUOTED.fullmatch(what) or _PLAIN.fullmatch(what):
        return None
    if _CALL.fullmatch(what):
        return transform_fault(what)
    return "it is no column with a direction"


def _balanced(text: str) -> bool:
    return text.count("`") % 2 == 0
