"""Files that say their columns' types themselves: Parquet, ORC, Avro; and files that are a row each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Expression, total
from ingestions.engine.loader.matching import distinct, match
from ingestions.engine.loader.rows import Filled, RawFrame, as_text, is_given, leftover
from ingestions.engine.loader.sql import identifier
from ingestions.engine.schema import types

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers

#: dates before 1582 mean what the file says; Spark 3.5 would stop at them unless told so.
_OPTIONS = {
    "parquet": {"datetimeRebaseMode": "CORRECTED", "int96RebaseMode": "CORRECTED"},
    "avro": {"datetimeRebaseMode": "CORRECTED"},
}
_NTZ = types.Atomic("timestamp_ntz")
_BINARY = (types.Field("content", types.Atomic("binary")), types.Field("length", types.BIGINT))


def frame(readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column]) -> RawFrame:
    df, sources = load(readers, shape, addresses)
    names = [each.name for each in sources]
    found = match(names, columns, readers.rules)
    kept = [at for at, name in enumerate(names) if readers.rules.target(name) is not None]
    kinds = [each.type for each in sources]
    source = [each.value.alias(f"c{at}") for at, each in enumerate(sources)]
    hidden = any(name.lower() == "_metadata" for name in names)
    df = df.select(*source, *(readers.file_columns_by_name() if hidden else readers.file_columns(shape, addresses)))
    keys = distinct(names)
    rest = [(keys[at], as_text(F.col(f"c{at}"), kinds[at])) for at in kept if at not in found]
    given = total([is_given(F.col(f"c{at}"), kinds[at]).cast("int") for at in kept])
    df = df.select(
        "source_file",
        "modified_at",
        F.lit(None).cast("string").alias("corrupt"),
        given.alias("given"),
        leftover(rest).alias("extra"),
        *(f"c{at}" for at in found),
    )
    return RawFrame(df, tuple(Filled(column, f"c{at}", kinds[at]) for at, column in found.items()))


@dataclass(frozen=True, slots=True)
class Source:
    """A column of the files: ``value`` is over the frame as Spark reads it."""

    name: str
    type: types.Type
    value: Expression


def load(readers: Readers, shape: Shape, addresses: Sequence[str]) -> tuple[Any, tuple[Source, ...]]:
    """The files' rows as Spark reads them, and their columns as they are loaded."""
    if shape.format == "binary":
        df = readers.load("binaryFile", addresses)
        return df, tuple(Source(each.name, each.type, F.col(each.name)) for each in _BINARY)
    if shape.format == "avro":
        readers.need("avro")
    df = readers.load(shape.format, addresses, **_OPTIONS.get(shape.format, {}))
    clocks = {column.name for column in shape.columns if shape.format == "orc" and column.type == str(_NTZ)}
    return df, tuple(_source(readers, shape, each, clocks) for each in fields_of(df.schema.jsonValue()))


def _source(readers: Readers, shape: Shape, field: types.Field, clocks: Collection[str]) -> Source:
    value = F.col(identifier(field.name))
    if field.name in clocks and field.type == types.TIMESTAMP:
        return Source(field.name, _NTZ, _clock(value, readers.machine_zone))
    if shape.format == "avro" and field.type == types.STRING:
        value = value.cast("string")  # a column of nothing but null
    return Source(field.name, field.type, value)


def fields_of(schema: Any) -> tuple[types.Field, ...]:
    """The columns of Spark's JSON form of a schema."""
    parsed = types.from_json(_known(schema))
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


def _clock(value: Expression, zone: str) -> Expression:
    """ORC's time without a zone is what a clock showed. Spark takes it for a moment, by the zone of the machine that it
    runs on; this takes that back."""
    micros = F.unix_micros(F.from_utc_timestamp(value, zone)).cast("decimal(20,0)")
    seconds = (micros * F.lit(Decimal("0.000001")).cast("decimal(6,6)")).cast("decimal(18,6)")
    none = F.lit(0)
    return F.lit("1970-01-01 00:00:00").cast("timestamp_ntz") + F.make_dt_interval(none, none, none, seconds)
