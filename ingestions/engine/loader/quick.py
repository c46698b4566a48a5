"""Rows that need no careful look. Nearly every row of a feed is what it seems; to find out what became of each value of
a row costs several times as much as reading it. So a batch is first read in a way that can only tell whether a row is
wholly in its columns. Files with a row of which that is not certain are read again, with care.

Certain means proven: nothing is taken on trust here, only refused sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader import csv_rows, quick_json, typed_rows
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Converter, all_of
from ingestions.engine.loader.from_path import text_of
from ingestions.engine.loader.matching import OURS, match
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.reshape import contained, reshaped
from ingestions.engine.loader.rows import MANY, UNCERTAIN, in_table, is_whole
from ingestions.engine.schema import types
from ingestions.engine.schema.path_columns import PathColumns


@dataclass(frozen=True, slots=True)
class Certain:
    """Rows with their values. Columns of ``df``: ``source_file``, ``modified_at``, ``certain``, and ``v<n>`` for the
    nth of ``filled``, in its type."""

    df: Any
    filled: tuple[Column, ...]


def read(
    readers: Readers,
    shape: Shape,
    addresses: Sequence[str],
    columns: Sequence[Column],
    converter: Converter,
    paths: PathColumns | None,
) -> Certain | None:
    """Files of one shape against the table's columns; ``None`` where they have to be read with care."""
    if any(column.required for column in columns) or (len(columns) > MANY and shape.format in ("csv", "json")):
        return None  # planning an expression or more for each of many texts takes longer than reading with care
    rows = _of_format(readers, shape, addresses, columns, converter)
    return rows if rows is None or paths is None else _with_path(rows, readers, addresses, columns, converter, paths)


def _of_format(
    readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
) -> Certain | None:
    match shape.format:
        case "json":
            targets = [column for column in columns if column.name not in OURS]
            df = quick_json.frame(readers, shape, addresses, targets, converter)
            return None if df is None else Certain(df, tuple(targets))
        case "csv":
            return _csv(readers, shape, addresses, columns, converter)
        case "parquet" | "orc" | "avro":
            return _typed(readers, shape, addresses, columns)
    return None


def table_rows(rows: Certain, columns: Sequence[Column], batch_id: str) -> Any:
    """A frame with exactly the table's columns, in the table's order."""
    values = {column.name: F.col(f"v{at}") for at, column in enumerate(rows.filled)}
    uncertain = F.when(~F.col("certain"), F.lit(UNCERTAIN))
    return in_table(rows.df, columns, values, batch_id, source_file=F.col("source_file"), rescued=uncertain)


def _matched_whole(names: Sequence[str], columns: Sequence[Column], readers: Readers) -> dict[int, Column] | None:
    """Index of each of a file's names → column; ``None`` where one is left over."""
    found = match(names, columns, readers.rules)
    left = any(at not in found and readers.rules.target(name) is not None for at, name in enumerate(names))
    return None if left else found


def _typed(readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column]) -> Certain | None:
    """A value that its column holds as it is cannot be lost on the way."""
    if any(column.name.lower() == "_metadata" for column in shape.columns):
        return None
    names = [column.name for column in shape.columns]
    found = _matched_whole(names, columns, readers)
    if found is None:
        return None
    df, sources = typed_rows.load(readers, shape, addresses)
    targets = {at: types.parse(column.type) for at, column in found.items()}
    if [each.name for each in sources] != names or not all(contained(sources[at].type, targets[at]) for at in found):
        return None
    values = [reshaped(sources[at].value, sources[at].type, targets[at]) for at in found]
    df = df.select(
        *readers.file_columns(shape, addresses),
        F.lit(True).alias("certain"),
        *(v.alias(f"v{n}") for n, v in enumerate(values)),
    )
    return Certain(df, tuple(found.values()))


def _csv(
    readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
) -> Certain | None:
    names = [column.name for column in shape.columns]
    found = _matched_whole(names, columns, readers)
    if found is None:
        return None
    kinds = [types.parse(column.type) for column in found.values()]
    if any(map(types.is_nested, kinds)):
        return None
    df = csv_rows.texts(readers, shape, addresses)
    texts = [F.col(f"c{at}") for at in found]
    typed = list(zip(texts, kinds, strict=True))
    df = df.select("source_file", "modified_at", "corrupt", *(f"c{at}" for at in found))
    df = converter.quickly(df, [(text, kind, f"v{n}") for n, (text, kind) in enumerate(typed)])
    whole = [is_whole(text, F.col(f"v{n}"), kind) for n, (text, kind) in enumerate(typed)]
    certain = F.col("corrupt").isNull() & all_of(whole)
    df = df.select("source_file", "modified_at", certain.alias("certain"), *(f"v{n}" for n in range(len(found))))
    return Certain(df, tuple(found.values()))


def _with_path(
    rows: Certain,
    readers: Readers,
    addresses: Sequence[str],
    columns: Sequence[Column],
    converter: Converter,
    paths: PathColumns,
) -> Certain | None:
    """With the columns that stand in an address; ``None`` where files have one of the same name."""
    names = list(dict.fromkeys(name for address in addresses for name in paths.values(address)))
    added = match(names, columns, readers.rules)
    if {column.name for column in added.values()} & {column.name for column in rows.filled}:
        return None
    df, certain, filled = rows.df, F.col("certain"), list(rows.filled)
    for at, column in added.items():
        kind = types.parse(column.type)
        if types.is_nested(kind):
            return None
        text = text_of(paths, names[at], kind)
        df = df.withColumn(f"v{len(filled)}", converter.scalar(text, kind))
        certain &= is_whole(text, F.col(f"v{len(filled)}"), kind)
        filled.append(column)
    return Certain(df.withColumn("certain", certain), tuple(filled))
