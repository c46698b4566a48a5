"""What types do the columns of these files have? Asked on the cluster, over a bounded sample.

A column gets the narrowest type that takes at least 99 % of its sampled values; the same conversions decide here and
when the rows are loaded, so what was guessed is what fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.spark_errors import error_class
from ingestions.engine import config
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import Entry
from ingestions.engine.loader.convert import Converter
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.sql import identifier
from ingestions.engine.schema import types

MAX_ROWS = 200_000
MAX_KEYS = 5_000
FIT = 0.99
#: narrowest first; a decimal is tried when digits do not fit a double.
_CANDIDATES = (types.BOOLEAN, types.BIGINT, types.DOUBLE, types.DATE, types.TIMESTAMP)
_WIDE = types.Decimal(38, 18)


def sample(entries: Sequence[Entry], limits: config.Schema) -> dict[Shape, list[str]]:
    """Addresses by shape, every shape with at least one file, then more of each while they fit the bounds."""
    by_shape: dict[Shape, list[Entry]] = {}
    for entry in entries:
        if entry.shape is not None:
            by_shape.setdefault(entry.shape, []).append(entry)
    for group in by_shape.values():
        group.sort(key=lambda entry: entry.file.size_bytes == 0)
    taken = {shape: [group[0]] for shape, group in by_shape.items()}
    files, size = len(taken), sum(group[0].file.size_bytes for group in taken.values())
    longest = max((len(group) for group in by_shape.values()), default=0)
    for at in range(1, longest):
        for shape, group in by_shape.items():
            more = size + group[at].file.size_bytes if at < len(group) else limits.sample_bytes + 1
            if files < limits.sample_files and more <= limits.sample_bytes:
                taken[shape].append(group[at])
                files, size = files + 1, more
    return {shape: [entry.file.address for entry in group] for shape, group in taken.items()}


class Inference:
    def __init__(self, readers: Readers, converter: Converter, limits: config.Schema) -> None:
        self.readers = readers
        self.converter = converter
        self.limits = limits

    def columns(self, entries: Sequence[Entry]) -> dict[str, types.Type]:
        """File's name → type, in order of first appearance; names that differ in case only are one column."""
        groups = sample(entries, self.limits)
        found: dict[str, types.Type] = {}
        texts = {shape: files for shape, files in groups.items() if shape.format == "csv"}
        _merge(found, self._csv(texts) if texts else {})
        for shape, files in groups.items():
            if shape.format == "json":
                _merge(found, self._json(shape, files))
            elif shape.format != "csv":
                _merge(found, self._typed(files[:1]))
        return {name: types.storable(type_) for name, type_ in found.items()}

    def _typed(self, files: Sequence[str]) -> dict[str, types.Type]:
        schema = self.readers.load("parquet", files).schema
        return {field.name: field.type for field in _fields(schema)}

    # csv

    def _csv(self, groups: Mapping[Shape, Sequence[str]]) -> dict[str, types.Type]:
        spelling: dict[str, str] = {}
        frames = []
        for shape, files in groups.items():
            names = [spelling.setdefault(column.name.lower(), column.name) for column in shape.columns]
            texts = self.readers.csv_texts(shape, files).limit(MAX_ROWS)
            pairs = F.array(
                *(F.struct(F.lit(name).alias("name"), F.col(f"c{at}").alias("text")) for at, name in enumerate(names))
            )
            frames.append(texts.select(F.inline(pairs)))
        fits = self._fits(reduce(lambda one, other: one.union(other), frames))
        return {name: fits.get(name, types.STRING) for name in spelling.values()}

    def _fits(self, named_texts: Any) -> dict[str, types.Type]:
        """Type of each ``name`` over its ``text`` values; names without any value are missing."""
        text = F.col("text")
        counts = [
            F.count(self.converter.scalar(text, candidate, strict=True)).alias(str(candidate))
            for candidate in _CANDIDATES
        ]
        plain = F.regexp_extract(F.trim(text), r"^-?(?:0|[1-9][0-9]*)\.([0-9]+)$", 1)
        whole = F.regexp_extract(F.trim(text), r"^-?(0|[1-9][0-9]*)(?:\.[0-9]+)?$", 1)
        moment = F.coalesce(
            self.converter.scalar(text, types.TIMESTAMP), self.converter.scalar(text, types.DATE).cast("timestamp")
        )
        rows = (
            named_texts.where(F.length(F.trim(text)) > 0)
            .groupBy("name")
            .agg(
                F.count(F.lit(1)).alias("given"),
                *counts,
                F.count(moment).alias("moment"),
                F.count(F.when(F.length(whole) > 0, 1)).alias("digits"),
                F.max(F.length(whole)).alias("whole"),
                F.max(F.length(plain)).alias("fraction"),
            )
            .collect()
        )
        return {row["name"]: _narrowest(row.asDict()) for row in rows}

    # json

    def _json(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        """Spark's own inference tells nested types; the keys, their order and the plain types are looked at here."""
        records = self.readers.json_texts(shape, files, self.converter).limit(MAX_ROWS)
        names = self._keys(records)
        guessed = self._guessed(shape, files)
        words = [name for name in names if guessed.get(name, types.STRING) == types.STRING]
        decided = self._tokens(records, words) if words else {}
        return {name: decided.get(name) or guessed.get(name, types.STRING) for name in names}

    def _keys(self, records: Any) -> list[str]:
        keys = records.select(F.posexplode(F.map_keys(self.converter.objects(F.col("value")))).alias("at", "key"))
        rows = keys.groupBy("key").agg(F.min("at").alias("at")).orderBy("at", "key").limit(MAX_KEYS).collect()
        return [row["key"] for row in rows]

    def _guessed(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        try:
            seen = self.readers.load(
                "json",
                files,
                multiLine=shape.option("multiline", "false"),
                encoding=shape.option("encoding", "UTF-8"),
                columnNameOfCorruptRecord=self.converter.end,
                mode="PERMISSIVE",
            ).schema
        except Exception as error:
            if error_class(error) == "COLUMN_ALREADY_EXISTS":  # a record with a key twice: nested values stay text
                return {}
            raise
        return {field.name: types.shallow(field.type) for field in _fields(seen)}

    def _tokens(self, records: Any, names: Sequence[str]) -> dict[str, types.Type]:
        """For keys that Spark calls text: text throughout, moments in ISO form, or numbers with a few strays.

        Spark's typed parsing takes unquoted tokens only, so a quoted number stays text, as its writer meant it."""
        value = F.col("value")
        tokens = [types.BOOLEAN, types.BIGINT, types.DOUBLE]
        parsed = [
            F.from_json(value, f"struct<{','.join(f'{types.quoted(name)}:{kind}' for name in names)}>").alias(str(kind))
            for kind in tokens
        ]
        df = records.select(self.converter.objects(value).alias("found"), *parsed)
        each = F.array(
            *(
                F.struct(
                    F.lit(name).alias("name"),
                    F.col("found")[name].alias("text"),
                    *(
                        F.col(f"{identifier(str(kind))}.{identifier(name)}").cast("string").alias(str(kind))
                        for kind in tokens
                    ),
                )
                for name in names
            )
        )
        df = df.select(F.inline(each)).where(F.length(F.trim("text")) > 0)
        text = F.col("text")
        moment = self.converter.scalar(text, types.TIMESTAMP)
        rows = (
            df.groupBy("name")
            .agg(
                F.count(F.lit(1)).alias("given"),
                *(F.count(F.col(str(kind))).alias(str(kind)) for kind in tokens),
                F.count(self.converter.scalar(text, types.DATE)).alias("date"),
                F.count(moment).alias("timestamp"),
                F.count(F.coalesce(moment)).alias("moment"),
                F.lit(0).alias("digits"),
            )
            .collect()
        )
        return {row["name"]: _narrowest(row.asDict()) for row in rows}


def _narrowest(row: Mapping[str, Any]) -> types.Type:
    enough = row["given"] * FIT
    for candidate in _CANDIDATES[:4]:
        if row[str(candidate)] >= enough:
            return candidate
    if row["moment"] >= enough:
        return types.TIMESTAMP
    if row["digits"] >= enough:
        fraction = row["fraction"] or 0
        if fraction > 0 and row["whole"] + fraction <= types.MAX_PRECISION:
            return types.Decimal(types.MAX_PRECISION, fraction)
    return types.STRING


def _fields(schema: Any) -> tuple[types.Field, ...]:
    parsed = types.from_json(_known(schema.jsonValue()))
    return parsed.fields if isinstance(parsed, types.Struct) else ()


def _known(value: Any) -> Any:
    """Spark's JSON form of a schema with types that no Iceberg table holds (``void``, intervals) as text."""
    if isinstance(value, str):
        return value if value not in ("void", "null") and "interval" not in value and value != "variant" else "string"
    if isinstance(value, list):
        return [_known(each) for each in value]
    if isinstance(value, dict):
        return {key: _known(each) if key in _TYPE_KEYS else each for key, each in value.items()}
    return value


_TYPE_KEYS = frozenset({"type", "fields", "elementType", "keyType", "valueType"})


def _merge(into: dict[str, types.Type], more: Mapping[str, types.Type]) -> None:
    spelling = {name.lower(): name for name in into}
    for name, type_ in more.items():
        known = spelling.setdefault(name.lower(), name)
        into[known] = types.promote(into[known], type_) if known in into else type_
