"""What a loaded row has to say of a record, in plain Python: each value that is not empty stands in its column,
exactly, or in ``_rescued_data`` as it was; what fits for certain is not rescued; and nothing is there that nobody gave.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.corpus.case import RESCUED

Record = Mapping[str, Any]
_WHOLE = re.compile(r"-?[1-9][0-9]{0,17}|0")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,6})?")
_MOMENT = re.compile(r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])")


def check_rows(types: Mapping[str, str], rows: Iterable[Record], records: Iterable[Record], key: str) -> None:
    """``rows`` as :meth:`tests.corpus.engine.Table.rows` gives them; ``records``: CSV texts or parsed JSON, each with
    its own value of ``key``. Raises AssertionError with the record."""
    loaded = list(rows)
    found = {str(row.get(key)): row for row in loaded}
    wanted = {str(record[key]): record for record in records}
    assert len(loaded) == len(found), "a row is there twice"
    assert set(found) == set(wanted), "rows are missing, or nobody gave them"
    for name, record in wanted.items():
        check_row(types, found[name], record)


def check_row(types: Mapping[str, str], row: Record, record: Record) -> None:
    """One row against its record."""
    by_lower = {column.lower(): column for column in types}
    rescued = dict(row.get(RESCUED, {}))
    given = set()
    for name, value in record.items():
        column = by_lower.get(name.lower())
        if column is None:
            assert value in (None, ""), f"no column {name!r} for {value!r}"
            continue
        given.add(column)
        where = f"{name!r}: {value!r} of {record} as {types[column]} became {row}"
        text = rescued.pop(column, None)
        stored = row.get(column)
        if value is None or value == "":
            assert stored in (None, ""), where
            assert text is None, where
            continue
        if text is None:
            assert says(stored, value), where
        else:
            assert says(text, value), where
            assert stored is None or isinstance(value, dict | list), where
            assert not fits(types[column], value), where
    assert not rescued, f"nobody gave {rescued}: {record}"
    assert set(row) - {RESCUED} <= given, f"nobody gave {set(row) - given}: {record}"


def fits(type_: str, value: Any) -> bool:
    """Whether a value is certainly one of the type. ``False`` says nothing."""
    text = value if isinstance(value, str) else json.dumps(value)
    if type_ == "string":
        return not isinstance(value, dict | list)
    if type_ == "bigint":
        return _WHOLE.fullmatch(text) is not None
    if type_ == "double":
        return _NUMBER.fullmatch(text) is not None
    if type_ == "boolean":
        return text in ("true", "false")
    return type_ in ("date", "timestamp") and _MOMENT.fullmatch(text) is not None


def says(stored: Any, value: Any) -> bool:
    """Whether what stands in the table, or a text of it, is exactly ``value``; a struct has null for what it lacks."""
    if value is None:
        return stored is None or stored == "null"
    if stored is None:
        return False
    if isinstance(value, dict | list) and isinstance(stored, str):
        return bool(_exact(stored) == _exact(json.dumps(value)))
    if isinstance(value, list):
        return isinstance(stored, list) and len(stored) == len(value) and all(map(says_or_null, stored, value))
    if isinstance(value, dict):
        return isinstance(stored, dict) and all(
            says_or_null(stored.get(name), value.get(name)) for name in {*stored, *value}
        )
    return _scalar(stored, value)


def says_or_null(stored: Any, value: Any) -> bool:
    """The same within nested values, where a struct of nothing stands for an empty object."""
    if value is None:
        return stored is None
    return says(stored, value)


def _scalar(stored: Any, value: Any) -> bool:
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(stored, bool) or isinstance(value, bool):
        return str(stored).lower() == text.strip(" ").lower()
    if isinstance(stored, float) and stored != stored:
        return text.strip(" ").lower() == "nan"
    if isinstance(stored, str):
        return stored == text or (not isinstance(value, str) and _number(stored) == _number(text)) or _day(stored, text)
    number = _number(text)
    # the shortest text of a large double need not be its value
    return _number(str(stored)) == number or (isinstance(stored, float) and Decimal(stored) == number)


def _day(stored: str, text: str) -> bool:
    """Days and moments are shown in one form: ``2024-01-02`` may have become the beginning of that day."""
    try:
        return stored in (date.fromisoformat(text.strip(" ")).isoformat(), text.strip(" ") + " 00:00:00")
    except ValueError:
        moment = text.strip(" ").replace("T", " ").removesuffix("Z")
        clock = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:(\.[0-9]*?)0*)?", moment)
        return clock is not None and stored == f"{clock[1]}{(clock[2] or '').removesuffix('.')}"


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip(" "))
    except InvalidOperation:
        return None


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
