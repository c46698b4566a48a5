"""What types do the columns of these files have? Asked on the cluster, over a bounded sample.

A column gets the narrowest type that takes at least 99 % of its sampled values; the same conversions decide here and
when the rows are loaded, so what was guessed is what fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.spark_errors import error_class
from ingestions.engine import config
from ingestions.engine.formats import json_head
from ingestions.engine.formats.options import records_path
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import Entry
from ingestions.engine.loader import csv_rows, typed_rows, xml_rows
from ingestions.engine.loader.convert import Converter
from ingestions.engine.loader.frames import union
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.sql import identifier
from ingestions.engine.schema import types

MAX_ROWS = 200_000
MAX_KEYS = 5_000
FIT = 0.99
#: narrowest first; a decimal is tried when digits do not fit a double.
_CANDIDATES = (types.BOOLEAN, types.BIGINT, types.DOUBLE, types.DATE, types.TIMESTAMP)
_WIDE = types.Decimal(38, 18)
#: what JSON writes without quotes.
_TOKENS = (types.BOOLEAN, types.BIGINT, types.DOUBLE)


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
    def __init__(self, readers: Readers, converter: Converter) -> None:
        self.readers = readers
        self.converter = converter

    def columns(self, groups: Mapping[Shape, Sequence[str]]) -> dict[str, types.Type]:
        """File's name → type, in order of first appearance; names that differ in case only are one column. ``groups``:
        a :func:`sample`."""
        found: dict[str, types.Type] = {}
        texts = {shape: files for shape, files in groups.items() if shape.format == "csv"}
        _merge(found, self._csv(texts) if texts else {})
        for shape, files in groups.items():
            match shape.format:
                case "csv":
                    continue
                case "json":
                    _merge(found, self._json(shape, files))
                case "xml":
                    _merge(found, self._xml(shape, files))
                case "text":
                    _merge(found, {"value": types.STRING})
                case _:
                    _merge(found, self._typed(shape, files[:1]))
        return {name: types.storable(type_) for name, type_ in found.items()}

    def _typed(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        return {source.name: source.type for source in typed_rows.load(self.readers, shape, files)[1]}

    # xml

    def _xml(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        fields = xml_rows.shapes(self.readers, shape, files, self.converter)
        texts = xml_rows.texts(self.readers, shape, files, fields, self.converter).limit(MAX_ROWS)
        leaves = [
            _named(path, values)
            for at, field in enumerate(fields)
            for path, values in xml_rows.leaves(F.col(f"c{at}"), field.type, (field.name,))
        ]
        known = self._fits(texts.select(F.inline(F.flatten(F.array(*leaves))))) if leaves else {}
        return {field.name: types.shallow(xml_rows.typed(field.type, (field.name,), known)) for field in fields}

    # csv

    def _csv(self, groups: Mapping[Shape, Sequence[str]]) -> dict[str, types.Type]:
        spelling: dict[str, str] = {}
        frames = []
        for shape, files in groups.items():
            names = [spelling.setdefault(column.name.lower(), column.name) for column in shape.columns]
            texts = csv_rows.texts(self.readers, shape, files).limit(MAX_ROWS)
            pairs = F.array(
                *(F.struct(F.lit(name).alias("name"), F.col(f"c{at}").alias("text")) for at, name in enumerate(names))
            )
            frames.append(texts.select(F.inline(pairs)))
        fits = self._fits(union(frames))
        return {name: fits.get(name, types.STRING) for name in spelling.values()}

    def _fits(self, named_texts: Any) -> dict[str, types.Type]:
        """Type of each ``name`` over its ``text`` values; names without any value are missing."""
        text = F.col("text")
        counts = [
            F.count(self.converter.scalar(text, candidate, strict=True)).alias(str(candidate))
            for candidate in _CANDIDATES
        ]
        number = self.converter.forms.number(F.trim(text))
        plain = F.regexp_extract(number, r"^-?(?:0|[1-9][0-9]*)\.([0-9]+)$", 1)
        whole = F.regexp_extract(number, r"^-?(0|[1-9][0-9]*)(?:\.[0-9]+)?$", 1)
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
        return {row["name"]: self._narrowest(row.asDict()) for row in rows}

    # json

    def _json(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        """Spark's own inference tells nested types; the keys, their order and the plain types are looked at here."""
        records = self.readers.json_texts(shape, files, self.converter).limit(MAX_ROWS)
        words = json_head.words(shape.sample)
        with ThreadPoolExecutor(1) as pool:  # two small jobs, each mostly waiting for the store
            asked = pool.submit(self._guessed, shape, files)
            decided = self._seen(records, words)
            guessed = asked.result()
        known = {name for name, type_ in guessed.items() if type_ != types.STRING}.union(words)
        if further := [name for name in decided if name not in known]:
            seen = self._seen(records, further)
            decided |= {name: seen.get(name) for name in further}
        texts = {name: type_ for name, type_ in decided.items() if guessed.get(name, types.STRING) == types.STRING}
        return {name: texts.get(name) or guessed.get(name, types.STRING) for name in decided}

    def _guessed(self, shape: Shape, files: Sequence[str]) -> dict[str, types.Type]:
        encoding, multiline = shape.option("encoding", "UTF-8"), shape.option("multiline", "false")
        lines: dict[str, Any] = {}
        if encoding != "UTF-8" and multiline == "false":
            if encoding.startswith(("UTF-16", "UTF-32")):  # Spark reads no lines of these: nested values stay text
                return {}
            lines = {"lineSep": "\n"}
        try:
            seen = self.readers.load_shape(
                "json",
                shape,
                files,
                multiLine=multiline,
                encoding=encoding,
                columnNameOfCorruptRecord=self.converter.end,
                mode="PERMISSIVE",
                **lines,
            ).schema
        except Exception as error:
            if error_class(error) == "COLUMN_ALREADY_EXISTS":  # a record with a key twice: nested values stay text
                return {}
            raise
        record = _below(types.Struct(typed_rows.fields_of(seen.jsonValue())), records_path(self.readers.options))
        fields = record.fields if isinstance(record, types.Struct) else ()
        return {field.name: types.shallow(field.type) for field in fields}

    def _seen(self, records: Any, words: Sequence[str]) -> dict[str, types.Type | None]:
        """All keys in order of appearance; with a type those of ``words`` that have values.

        ``words`` are keys that Spark calls text: text throughout, moments in ISO form, or numbers with a few strays.
        Spark's typed parsing takes unquoted tokens only, so a quoted number stays text, as its writer meant it."""
        text = F.col("text")
        given = F.length(F.trim(text)) > 0
        counted = {"given": F.lit(1)}
        if words:
            moment = self.converter.scalar(text, types.TIMESTAMP)
            counted |= {"date": self.converter.scalar(text, types.DATE), "timestamp": moment, "moment": moment}
            counted |= {str(token): F.col(str(token)) for token in _TOKENS}
        rows = (
            self._by_name(records, words)
            .groupBy("name")
            .agg(F.min("at").alias("at"), *(F.count(F.when(given, each)).alias(name) for name, each in counted.items()))
            .where("at IS NOT NULL")
            .orderBy("at", "name")
            .limit(MAX_KEYS)
            .collect()
        )
        return {row["name"]: self._narrowest({**row.asDict(), "digits": 0}) if row["given"] else None for row in rows}

    def _by_name(self, records: Any, words: Sequence[str]) -> Any:
        """``name`` and ``at`` of each key of each record; ``name``, ``text`` and a column a token of each of ``words``.
        Both in one pass: reading the files takes longest."""
        tokens = _TOKENS if words else ()
        kinds = {token: ",".join(f"{types.quoted(name)}:{token}" for name in words) for token in tokens}
        df = records.select(
            self.converter.objects(F.col("value")).alias("found"),
            *(F.from_json(F.col("value"), f"struct<{fields}>").alias(str(token)) for token, fields in kinds.items()),
        )

        def row(name: Any, at: Any, text: Any, typed: Sequence[Any]) -> Any:
            parsed = (each.cast("string").alias(str(token)) for token, each in zip(tokens, typed, strict=True))
            return F.struct(name.alias("name"), at.cast("int").alias("at"), text.cast("string").alias("text"), *parsed)

        found, nothing = F.col("found"), F.lit(None)
        keys = F.transform(F.map_keys(found), lambda key, at: row(key, at, nothing, [nothing for _ in tokens]))
        values = [
            row(F.lit(name), nothing, found[name], [F.col(f"{token}.{identifier(name)}") for token in tokens])
            for name in words
        ]
        return df.select(F.inline(F.concat(keys, F.array(*values)) if values else keys))

    def _narrowest(self, row: Mapping[str, Any]) -> types.Type:
        enough, forms = row["given"] * FIT, self.converter.forms
        # digits alone are a date where that is how this feed writes dates
        first = [types.DATE] * bool(forms.date) + [types.TIMESTAMP] * bool(forms.timestamp)
        for candidate in (*first, *_CANDIDATES[:4]):
            if row[str(candidate)] >= enough:
                return candidate
        if row["moment"] >= enough:
            return types.TIMESTAMP
        if row["digits"] >= enough:
            fraction = row["fraction"] or 0
            if fraction > 0 and row["whole"] + fraction <= types.MAX_PRECISION:
                return types.Decimal(types.MAX_PRECISION, fraction)
        return types.STRING


def _named(name: str, texts: Any) -> Any:
    return F.transform(texts, lambda text: F.struct(F.lit(name).alias("name"), text.alias("text")))


def _below(schema: types.Type, keys: Sequence[str]) -> types.Type:
    """What the records have that stand below these keys of a document."""
    for key in keys:
        fields = schema.fields if isinstance(schema, types.Struct) else ()
        schema = next((field.type for field in fields if field.name == key), types.STRING)
    return schema.element if keys and isinstance(schema, types.Array) else schema


def _merge(into: dict[str, types.Type], more: Mapping[str, types.Type]) -> None:
    spelling = {name.lower(): name for name in into}
    for name, type_ in more.items():
        known = spelling.setdefault(name.lower(), name)
        into[known] = types.promote(into[known], type_) if known in into else type_
