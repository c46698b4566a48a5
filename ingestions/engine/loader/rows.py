"""Rows of files to rows of the table: convert, rescue what does not fit, and prove per row that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.base import (
    BATCH_ID,
    FILE_MODIFIED_AT,
    LOADED_AT,
    RESCUED_DATA,
    SOURCE_FILE,
    Column,
)
from ingestions.engine.loader.convert import Converter, Expression, all_of, any_of, let, total
from ingestions.engine.loader.reshape import JSON_OPTIONS, contained, only_text, reshaped
from ingestions.engine.schema import types

#: keys of ``_rescued_data`` that are ours: the whole text of a row that is malformed, and the file's address.
CORRUPT_RECORD = "_corrupt_record"
FILE_PATH = "_file_path"
#: what ``raise_error`` says when the audit inside the write finds a value missing; the file's address follows.
LOST = "AUTOLOADER_VALUE_LOST"
#: … and when a column that the table requires has no value.
MISSING = "AUTOLOADER_REQUIRED_COLUMN"
#: … when a value holds the character that stands for bytes which are no text,
ODD = "AUTOLOADER_ODD_TEXT"
#: … when a JSON document has no records where they are said to be; the file's address follows,
NO_RECORDS = "AUTOLOADER_NO_RECORDS"
#: … and when a file is not the one that was listed.
OTHER = "AUTOLOADER_OTHER_VERSION"
REPLACEMENT = "\ufffd"
#: ``_rescued_data`` of a row that a quick look is not certain of; a careful one always names the file there. Such rows
#: are never published.
UNCERTAIN = "{}"
#: columns of plain types above which those of one type are converted together.
MANY = 200
PAIRS = "array<struct<key:string,value:string>>"


@dataclass(frozen=True, slots=True)
class Filled:
    """A column of the table that a file has. ``name`` is the frame's column with its source value;
    ``type`` is the source's type, ``None`` for text."""

    column: Column
    name: str
    type: types.Type | None = None


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Rows as the files have them. Columns of ``df``: ``source_file``, ``modified_at``, ``corrupt`` (the raw text of a
    malformed row, else null), ``given`` (how many values the row has that are not empty), ``extra`` (array of
    key and value: what no column takes, null for none) and those of ``filled``."""

    df: Any
    filled: tuple[Filled, ...]

    def without_extra(self) -> RawFrame:
        """What no column takes is left out, and does not count as given."""
        extra = F.size("extra")
        left = F.when(extra > 0, F.col("given") - extra).otherwise(F.col("given"))
        return RawFrame(self.df.withColumns({"given": left, "extra": F.lit(None).cast(PAIRS)}), self.filled)


def table_rows(
    raw: RawFrame,
    columns: Sequence[Column],
    batch_id: str,
    converter: Converter,
    *,
    trusted: Sequence[str] = (),
    well_formed: bool = False,
) -> Any:
    """A frame with exactly the table's columns, in the table's order. ``trusted``: files of which it is known that
    their bytes are text, however odd it looks. ``well_formed``: without malformed rows."""
    rows = _Rows(raw, converter)
    df = rows.rescued(rows.converted(_well_formed(raw.df) if well_formed else raw.df))
    file = F.col("source_file")
    odd = rows.odd()
    if trusted:
        odd &= ~file.isin(*trusted)
    source = (
        F.when(~rows.audit(), F.raise_error(F.concat(F.lit(f"{LOST} "), file)))
        .when(odd, F.raise_error(F.concat(F.lit(f"{ODD} "), file)))
        .otherwise(file)
    )
    values = {each.column.name: F.col(f"v{at}") for at, each in enumerate(raw.filled)}
    return in_table(df, columns, values, batch_id, source_file=source, rescued=_held(F.col("rescued")))


def in_table(
    df: Any,
    columns: Sequence[Column],
    values: Mapping[str, Expression],
    batch_id: str,
    *,
    source_file: Expression,
    rescued: Expression,
) -> Any:
    """A frame with exactly the table's columns, in the table's order. ``df`` has ``modified_at``; ``values`` are those
    of the columns that the files have."""
    ours: Mapping[str, Expression] = {
        SOURCE_FILE: source_file,
        FILE_MODIFIED_AT: F.col("modified_at"),
        BATCH_ID: F.lit(batch_id),
        LOADED_AT: F.current_timestamp(),
        RESCUED_DATA: rescued,
    }
    selected = []
    for column in columns:
        value = ours.get(column.name)
        if value is None:
            value = values.get(column.name, F.lit(None).cast(column.type))
        if column.required:
            value = F.coalesce(value, F.raise_error(F.lit(f"{MISSING} {column.name}")))
        selected.append(value.cast(column.type).alias(column.name))
    return df.select(*selected)


def _well_formed(df: Any) -> Any:
    return df.withColumn("corrupt", _held(F.col("corrupt"))).where(F.col("corrupt").isNull())


def _held(value: Expression) -> Expression:
    """A condition on the value stays above it. Spark moves conditions down to the files and writes out all that they
    are made of on the way, each mention anew: a filter on ``_rescued_data`` of nested JSON became a plan of 100 MB. It
    leaves those alone that it cannot foretell, such as the number of a task."""
    return F.when(F.spark_partition_id() >= 0, value)


class _Rows:
    def __init__(self, raw: RawFrame, converter: Converter) -> None:
        self.filled = raw.filled
        self.converter = converter
        self.types = [types.parse(each.column.type) for each in raw.filled]

    # convert

    def converted(self, df: Any) -> Any:
        """Adds ``v<n>``, the typed value or null, and ``b<n>``: the value stands not (wholly) in its column."""
        pairs = {at: self._pair(at) for at in range(len(self.filled))}
        together = self._together([at for at, pair in pairs.items() if pair is None])
        df = df.select(
            "*",
            *(pair.alias(f"p{at}") for at, pair in pairs.items() if pair is not None),
            *(self._converted_at_once(places).alias(f"w{places[0]}") for places in together),
        )
        taken = {at: F.get(F.col(f"w{places[0]}"), F.lit(n)) for places in together for n, at in enumerate(places)}
        values, bad = [], []
        for at, pair in pairs.items():
            if pair is None:
                values.append((taken[at] if at in taken else self._scalar(at)).alias(f"v{at}"))
                bad.append((self._given(at) & F.col(f"v{at}").isNull()).alias(f"b{at}"))
            else:
                values.append(F.col(f"p{at}")["v"].alias(f"v{at}"))
                bad.append((self._given(at) & ~F.coalesce(F.col(f"p{at}")["ok"], F.lit(False))).alias(f"b{at}"))
        return df.select("*", *values).select("*", *bad)

    def _together(self, scalars: list[int]) -> list[list[int]]:
        """Columns of one type that are converted by one expression: where they are many, planning one for each takes
        longer than reading the files."""
        if len(scalars) <= MANY:
            return []
        groups: dict[types.Type, list[int]] = {}
        for at in scalars:
            if not self._direct(at) and self.types[at] != types.STRING:
                groups.setdefault(self.types[at], []).append(at)
        return [places for places in groups.values() if len(places) > 1]

    def _converted_at_once(self, places: list[int]) -> Expression:
        type_ = self.types[places[0]]
        return F.transform(F.array(*map(self._text, places)), lambda text: self.converter.scalar(text, type_))

    def _direct(self, at: int) -> bool:
        source = self.filled[at].type
        return source is not None and contained(source, self.types[at])

    def _pair(self, at: int) -> Expression | None:
        if self._direct(at) or not types.is_nested(self.types[at]):
            return None
        if only_text(self.filled[at].type, self.types[at]):
            return F.struct(F.lit(None).cast(str(self.types[at])).alias("v"), F.lit(False).alias("ok"))
        return self.converter.pair(self._text(at), self.types[at])

    def _scalar(self, at: int) -> Expression:
        source = self.filled[at].type
        if source is not None and self._direct(at):
            return reshaped(F.col(self.filled[at].name), source, self.types[at])
        return self.converter.scalar(self._text(at), self.types[at])

    def _text(self, at: int) -> Expression:
        """The source value as text: what is parsed, and what is rescued."""
        each = self.filled[at]
        return as_text(F.col(each.name), each.type)

    def _given(self, at: int) -> Expression:
        return is_given(F.col(self.filled[at].name), self.filled[at].type)

    # rescue

    def rescued(self, df: Any) -> Any:
        """Adds ``rescued``: JSON text of column → original text, and the file; null for a row that fits."""
        count = range(len(self.filled))
        corrupt, extra = F.col("corrupt"), F.col("extra")
        anything = any_of([F.col(f"b{at}") for at in count]) | corrupt.isNotNull() | (F.size(extra) > 0)
        misfits = [
            F.struct(
                F.lit(rescue_key(self.filled[at].column.name)).alias("key"),
                F.when(F.col(f"b{at}"), self._text(at)).alias("value"),
            )
            for at in count
        ]
        none = F.array().cast(PAIRS)
        entries = F.concat(
            F.filter(F.array(*misfits), lambda each: each["value"].isNotNull()) if misfits else none,
            F.coalesce(F.transform(extra, _own_key), none),
            F.when(corrupt.isNotNull(), F.array(_entry(CORRUPT_RECORD, corrupt))).otherwise(none),
            F.array(_entry(FILE_PATH, F.col("source_file"))),
        )
        text = let(entries, lambda found: F.to_json(F.map_from_entries(_first_of_each(found))))
        return df.select("*", F.when(anything, text).alias("rescued"))

    # audit

    def audit(self) -> Expression:
        """Whether each value that the row has stands in its column or in ``_rescued_data``. It looks only at what was
        read and at what will be written, not at how the one became the other."""
        rescued, given = F.col("rescued"), F.col("given")
        count = range(len(self.filled))
        stored = [is_given(F.col(f"v{at}"), self.types[at]) for at in count]
        every = total([each.cast("int") for each in stored])
        whole = all_of([self._whole(at) for at in count if types.is_nested(self.types[at]) and not self._direct(at)])
        plain = rescued.isNull() & (given == every) & whole
        keys = F.json_object_keys(rescued)

        def beside(found: Expression) -> Expression:
            kept = total(
                [
                    (stored[at] & ~F.array_contains(found, F.lit(rescue_key(self.filled[at].column.name)))).cast("int")
                    for at in count
                ]
            )
            return F.array_contains(found, F.lit(CORRUPT_RECORD)) | (given == kept + F.size(found) - 1)

        return F.coalesce(plain | (rescued.isNotNull() & let(keys, beside)), F.lit(False))

    def odd(self) -> Expression:
        """Whether the row holds the character that a decoder writes in place of bytes that are no text. What stands in
        a column that is no text is right, or rescued."""
        if self.filled and all(each.type is not None for each in self.filled):
            return F.lit(False)  # its texts were never bytes in an encoding that somebody chose
        texts = [
            F.col(each.name)
            for each, type_ in zip(self.filled, self.types, strict=True)
            if each.type is None and (type_ == types.STRING or types.is_nested(type_))
        ]
        if len(texts) > MANY:
            texts = [F.concat_ws("", *texts)]  # one expression is planned sooner than many
        looked = [F.contains(text, F.lit(REPLACEMENT)) for text in texts]
        looked.append(F.contains(F.col("rescued"), F.lit(REPLACEMENT)))
        return any_of([F.coalesce(each, F.lit(False)) for each in looked])

    def _whole(self, at: int) -> Expression:
        """A nested value has as many leaves as its text. Where a leaf holds JSON as text, they cannot be compared."""
        shown = F.to_json(F.col(f"v{at}"))
        return F.col(f"v{at}").isNull() | shown.rlike(r'"[{\[]') | (_leaves(shown) >= _leaves(self._text(at)))


def as_text(value: Expression, type_: types.Type | None) -> Expression:
    """A typed source value (Parquet) as text."""
    if type_ is None or type_ == types.STRING:
        return value
    if types.is_nested(type_):
        return F.to_json(value, JSON_OPTIONS)
    return F.base64(value) if str(type_) == "binary" else value.cast("string")


def is_given(value: Expression, type_: types.Type | None) -> Expression:
    """Not null and, for text, not empty."""
    if type_ is None or type_ == types.STRING:
        return F.coalesce(F.length(value) > 0, F.lit(False))
    return value.isNotNull()


def is_whole(text: Expression, value: Expression, type_: types.Type) -> Expression:
    """Whether all of a source text is in the ``value`` that was made of it, and is text."""
    if type_ == types.STRING:
        return text.isNull() | ~F.contains(text, F.lit(REPLACEMENT))
    return value.isNotNull() | text.isNull() | (text == "")


def leftover(rest: Sequence[tuple[str, Expression]]) -> Expression:
    """Values that no column takes, as entries; null where all of them are empty."""
    if not rest:
        return F.lit(None).cast(PAIRS)
    entries = F.array(*(F.struct(F.lit(key).alias("key"), text.alias("value")) for key, text in rest))
    some = any_of([is_given(text, None) for _, text in rest])
    return F.when(some, F.filter(entries, lambda each: F.length(each["value"]) > 0)).cast(PAIRS)


def rescue_key(name: str) -> str:
    """The key of a column in ``_rescued_data``; our own two keys are kept free."""
    return f"{name}_" if name in (CORRUPT_RECORD, FILE_PATH) else name


def _own_key(entry: Expression) -> Expression:
    key = F.when(entry["key"].isin(CORRUPT_RECORD, FILE_PATH), F.concat(entry["key"], F.lit("_")))
    return F.struct(F.coalesce(key, entry["key"]).alias("key"), entry["value"].alias("value"))


def _entry(key: str, value: Expression) -> Expression:
    return F.struct(F.lit(key).alias("key"), value.alias("value"))


def _first_of_each(entries: Expression) -> Expression:
    """No key twice; the reader sees to it that such a row is rescued as a whole."""
    return let(
        F.transform(entries, lambda each: each["key"]),
        lambda keys: F.filter(entries, lambda each, at: F.array_position(keys, each["key"]) == at + 1),
    )


def _leaves(text: Expression) -> Expression:
    """How many values that are not null stand in a JSON text."""
    bare = F.regexp_replace(text, r'"(?:[^"\\]++|\\.)*+"', "0")
    values = F.regexp_replace(bare, r"0\s*:|null", "")
    return F.size(F.regexp_extract_all(values, F.lit(r"([^\[\]{},\s]+)"), F.lit(1)))
