"""The DDL of a destination table, as text. Names are always quoted; what a person wrote as a partition transform is
parsed, never pasted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autoloader.lib.errors import ConfigError
from ingestions.engine.conditions import parse
from ingestions.engine.config import Destination
from ingestions.engine.loader.base import METADATA_COLUMNS, Column
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Change, Kind

_TRANSFORM = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_SORT = re.compile(
    r"(?P<name>.+?)(?:\s+(?P<way>asc|desc))?(?:\s+(?P<nulls>nulls\s+(?:first|last)))?\s*", re.IGNORECASE | re.DOTALL
)
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


#: the table property that says which ingestion made the table.
MAKER = "autoloader.ingestion"


def create_table(destination: Destination, columns: Sequence[Column], maker: str = "") -> str:
    """``CREATE TABLE IF NOT EXISTS`` with the feed's columns first and ours after them."""
    fields = [*columns, *(Column(name, type_) for name, type_ in METADATA_COLUMNS)]
    partitions = []
    if destination.partitioning.enabled:
        partitions = [_partition(text, fields) for text in destination.partitioning.columns]
    properties = {"format-version": "2", "write.parquet.compression-codec": "zstd"}
    if partitions:
        properties["write.distribution-mode"] = "hash"
    properties.update(destination.properties)
    if maker:
        properties[MAKER] = maker
    statement = f"CREATE TABLE IF NOT EXISTS {table_name(destination)} ({definitions(fields)}) USING iceberg"
    if partitions:
        statement += f" PARTITIONED BY ({', '.join(partitions)})"
    listed = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
    return f"{statement} TBLPROPERTIES ({listed})"


def create_namespace(destination: Destination) -> str:
    return f"CREATE NAMESPACE IF NOT EXISTS {identifier(destination.catalog, destination.database)}"


def add_columns(destination: Destination, columns: Sequence[Column]) -> str:
    return f"ALTER TABLE {table_name(destination)} ADD COLUMNS ({definitions(columns)})"


def changes(destination: Destination, wanted: Sequence[Change]) -> tuple[str, ...]:
    """``ALTER TABLE`` statements: one for all fields that are new, one for each that becomes wider."""
    table = table_name(destination)
    added = [f"{identifier(*each.path)} {each.type}" for each in wanted if each.kind is Kind.ADDED]
    wider = [each for each in wanted if each.kind is Kind.WIDENED]
    return (
        *([f"ALTER TABLE {table} ADD COLUMNS ({', '.join(added)})"] if added else []),
        *(f"ALTER TABLE {table} ALTER COLUMN {identifier(*each.path)} TYPE {each.type}" for each in wider),
    )


def write_order(destination: Destination, columns: Sequence[Column]) -> str | None:
    """``ALTER TABLE … WRITE …`` for ``sort_by``; ``None`` where rows keep the order they come in."""
    if not destination.sort_by:
        return None
    fields = [*columns, *(Column(name, type_) for name, type_ in METADATA_COLUMNS)]
    order = ", ".join(_sorted_by(text, fields) for text in destination.sort_by)
    how = "DISTRIBUTED BY PARTITION LOCALLY ORDERED BY" if destination.partitioning.enabled else "ORDERED BY"
    return f"ALTER TABLE {table_name(destination)} WRITE {how} {order}"


def z_order(destination: Destination, columns: Sequence[Column]) -> str:
    """``CALL … rewrite_data_files`` that lays the rows of small files out along a Z curve."""
    names = []
    for text in destination.optimization.z_ordering_columns:
        found = _column(text.strip(), columns)
        if found is None or "`" in found.name:  # Iceberg's procedure cannot name a column with a backtick
            raise ConfigError(
                "bad_z_order",
                f"The table cannot be z-ordered by “{text}”: there is no such column that can be named.",
                f"Use some of: {', '.join(column.name for column in columns)}.",
                field="destination.optimization.z_ordering_columns",
            )
        names.append(identifier(found.name))
    table = literal(identifier(destination.database, destination.table))
    return (
        f"CALL {identifier(destination.catalog)}.system.rewrite_data_files(table => {table}, strategy => 'sort', "
        f"sort_order => {literal(f'zorder({chr(44).join(names)})')}, options => map('min-input-files', '2'))"
    )


def required_column(name: str, columns: Sequence[Column], field: str) -> Column:
    """The column of this name, case aside where that is clear. Raises ConfigError for the configuration's ``field``."""
    found = _column(name.strip(), columns)
    if found is None:
        raise ConfigError(
            "unknown_column",
            f"There is no column “{name}” in the files or the table.",
            f"Use one of: {', '.join(column.name for column in columns)}.",
            field=field,
        )
    return found


def merge_keys(destination: Destination, columns: Sequence[Column]) -> list[Column]:
    """The key columns of a merge. Raises ConfigError where the configuration speaks of a column that is not there."""
    keys = [required_column(key, columns, "destination.merge_keys") for key in destination.merge_keys]
    if destination.order_by:
        required_column(destination.order_by, columns, "destination.order_by")
    if destination.delete_when:
        for name in parse(destination.delete_when, "destination.delete_when").columns:
            required_column(name, columns, "destination.delete_when")
    return keys


def table_name(destination: Destination, *more: str) -> str:
    """The quoted name, or that of a branch (``branch_x``) or metadata table (``snapshots``) of it."""
    return identifier(destination.catalog, destination.database, destination.table, *more)


def definitions(columns: Sequence[Column]) -> str:
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


def _sorted_by(text: str, columns: Sequence[Column]) -> str:
    """``ts``, ``ts desc`` or ``ts asc nulls last`` over a known column, in SQL."""
    whole = _column(text.strip(), columns)
    if whole:
        return identifier(whole.name)
    match = _SORT.fullmatch(text)
    named = _column(match["name"].strip(), columns) if match else None
    if not match or not named:
        raise ConfigError(
            "bad_sort",
            f"The table cannot be sorted by “{text}”: there is no such column.",
            "Write a column of the table, with asc or desc and nulls first or nulls last after it.",
            field="destination.sort_by",
        )
    return " ".join(
        [identifier(named.name), *(match["way"] or "").upper().split(), *(match["nulls"] or "").upper().split()]
    )


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
