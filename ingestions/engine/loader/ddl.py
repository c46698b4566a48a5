"""The DDL of a destination table, as text. Names are always quoted; what a person wrote as a partition transform is
parsed, never pasted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import Destination
from ingestions.engine.loader.base import METADATA_COLUMNS, Column
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.schema import types

_TRANSFORM = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_BY_TIME = {
    "year": "years",
    "years": "years",
    "month": "months",
    "months": "months",
    "day": "days",
    "days": "days",
    "date": "days",
    "hour": "hours",
    "hours": "hours",
    "date_hour": "hours",
}


def create_table(destination: Destination, columns: Sequence[Column]) -> str:
    """``CREATE TABLE IF NOT EXISTS`` with the feed's columns first and ours after them."""
    fields = [*columns, *(Column(name, type_) for name, type_ in METADATA_COLUMNS)]
    partitions = []
    if destination.partitioning.enabled:
        partitions = [_partition(text, fields) for text in destination.partitioning.columns]
    properties = {"format-version": "2", "write.parquet.compression-codec": "zstd"}
    if partitions:
        properties["write.distribution-mode"] = "hash"
    properties.update(destination.properties)
    statement = f"CREATE TABLE IF NOT EXISTS {table_name(destination)} ({_definitions(fields)}) USING iceberg"
    if partitions:
        statement += f" PARTITIONED BY ({', '.join(partitions)})"
    listed = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
    return f"{statement} TBLPROPERTIES ({listed})"


def create_namespace(destination: Destination) -> str:
    return f"CREATE NAMESPACE IF NOT EXISTS {identifier(destination.catalog, destination.database)}"


def add_columns(destination: Destination, columns: Sequence[Column]) -> str:
    return f"ALTER TABLE {table_name(destination)} ADD COLUMNS ({_definitions(columns)})"


def table_name(destination: Destination, *more: str) -> str:
    """The quoted name, or that of a branch (``branch_x``) or metadata table (``snapshots``) of it."""
    return identifier(destination.catalog, destination.database, destination.table, *more)


def _definitions(columns: Sequence[Column]) -> str:
    return ", ".join(
        f"{identifier(column.name)} {types.parse(column.type)}{' NOT NULL' if column.required else ''}"
        for column in columns
    )


def _partition(text: str, columns: Sequence[Column]) -> str:
    """``ts``, ``days(ts)``, ``bucket(16, id)`` or ``truncate(4, name)`` in Iceberg's words, over a known column."""
    whole = _column(text.strip(), columns)
    if whole:
        return identifier(whole.name)
    match = _TRANSFORM.fullmatch(text)
    if not match:
        raise _bad(text, "there is no such column")
    function, arguments = match[1].lower(), [part.strip() for part in match[2].split(",")]
    number = next((part for part in arguments if part.isdecimal()), None)
    named = _column(",".join(part for part in arguments if part != number), columns)
    if function in _BY_TIME and named and number is None:
        if not named.type.startswith(("timestamp", "date")):
            raise _bad(text, f"column “{named.name}” is {named.type}, not a date or timestamp")
        return f"{_BY_TIME[function]}({identifier(named.name)})"
    if function in ("bucket", "truncate") and named and number is not None:
        return f"{function}({number}, {identifier(named.name)})"
    raise _bad(text, "there is no such column" if not named else "it is no partition transform")


def _column(name: str, columns: Sequence[Column]) -> Column | None:
    bare = name[1:-1].replace("``", "`") if name.startswith("`") and name.endswith("`") and len(name) > 1 else name
    exact = [column for column in columns if column.name == bare]
    close = [column for column in columns if column.name.lower() == bare.lower()]
    return next(iter(exact or close), None)


def _bad(text: str, why: str) -> ConfigError:
    return ConfigError(
        "bad_partition",
        f"The table cannot be partitioned by “{text}”: {why}.",
        "Use a column of the table, years/months/days/hours(column), bucket(16, column) or truncate(4, column).",
        field="destination.partitioning.columns",
    )
