"""The columns of a Parquet file from its footer, in Spark's words for their types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from autoloader.lib.errors import FileError
from ingestions.engine.formats.head import Named, Readable
from ingestions.engine.formats.shape import ShapeColumn, check_count, check_twins, quoted

_TAIL_BYTES = 64 * 1024
_MAX_FOOTER_BYTES = 64 * 1024 * 1024
_MAGIC = b"PAR1"
_PHYSICAL = {
    "BOOLEAN": "boolean",
    "INT32": "int",
    "INT64": "bigint",
    "INT96": "timestamp",
    "FLOAT": "float",
    "DOUBLE": "double",
    "BYTE_ARRAY": "binary",
    "FIXED_LEN_BYTE_ARRAY": "binary",
}
#: width and sign of an integer -> the type that Spark reads it as, wide enough for each value.
_INTEGERS = {
    (8, True): "tinyint",
    (16, True): "smallint",
    (32, True): "int",
    (64, True): "bigint",
    (8, False): "smallint",
    (16, False): "int",
    (32, False): "bigint",
    (64, False): "decimal(20,0)",
}


class _Unsupported(Exception):
    """A type that Spark does not read; the text says which and what to do."""


def read_columns(source: Readable, file: Named) -> tuple[ShapeColumn, ...]:
    """Top-level columns with their types as DDL text. FileError for what is no whole, readable Parquet file."""
    address = file.address
    try:
        found = pq.ParquetFile(pa.BufferReader(_footer(source, file)))
        leaves = _leaves(found.schema)
        columns = tuple(ShapeColumn(field.name, _type(field.type, leaves, field.name)) for field in found.schema_arrow)
    except _Unsupported as error:
        raise FileError("parquet_type", f"{address}: {error}", error.__notes__[0], path=address) from None
    except (pa.ArrowException, OSError, ValueError, StopIteration):
        raise _broken(address, "its footer cannot be read") from None
    check_count(address, len(columns))
    check_twins(address, [column.name for column in columns])
    return columns


def _footer(source: Readable, file: Named) -> bytes:
    """The smallest Parquet file with this one's footer: the reader needs nothing else to tell the schema."""
    tail = source.read_range(file.address, -_TAIL_BYTES, _TAIL_BYTES)
    if not tail:
        raise FileError(
            "empty_file", f"{file.address} is empty.", "Nothing to do; a new version is loaded.", path=file.address
        )
    if tail.endswith(b"PARE"):
        raise _broken(file.address, "its footer is encrypted")
    if not tail.endswith(_MAGIC) or len(tail) < 12:
        raise _broken(file.address, "it does not end like one, so it is another format or was cut off")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > min(file.size_bytes, _MAX_FOOTER_BYTES):
        raise _broken(file.address, "its footer says a length that cannot be")
    if length > len(tail):
        tail = source.read_range(file.address, -length, length)
    return _MAGIC + tail[-length:]


def _broken(address: str, why: str) -> FileError:
    return FileError(
        "not_parquet",
        f"{address} is no Parquet file that can be read: {why}.",
        "Upload the file again, as a whole, or leave it out with a pattern.",
        path=address,
    )


def _leaves(schema: Any) -> Iterator[Any]:
    return (schema.column(index) for index in range(len(schema)))


def _type(type_: Any, leaves: Iterator[Any], name: str) -> str:
    """The nesting is Arrow's; what a leaf is, the file's own schema says (Arrow may have dressed it up)."""
    if pa.types.is_struct(type_):
        fields = [f"{quoted(field.name)}:{_type(field.type, leaves, f'{name}.{field.name}')}" for field in type_]
        return f"struct<{','.join(fields)}>"
    if pa.types.is_map(type_):
        key = _type(type_.key_type, leaves, f"{name}.key")
        return f"map<{key},{_type(type_.item_type, leaves, f'{name}.value')}>"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return f"array<{_type(type_.value_type, leaves, f'{name}.element')}>"
    if isinstance(type_, pa.BaseExtensionType) and pa.types.is_nested(type_.storage_type):
        return _type(type_.storage_type, leaves, name)
    return _leaf(next(leaves), name)


def _leaf(leaf: Any, name: str) -> str:
    logical = json.loads(leaf.logical_type.to_json())
    match logical["Type"]:
        case "String" | "Enum" | "JSON":
            return "string"
        case "Int":
            return _INTEGERS[(logical["bitWidth"], logical["isSigned"])]
        case "Decimal":
            return _decimal(logical, name)
        case "Date":
            return "date"
        case "Timestamp":
            return _timestamp(logical, name)
        case "None" | "Null" | "Undefined" | "BSON":
            return _PHYSICAL[leaf.physical_type]
        case other:
            raise _unsupported(f"the column {name} has the Parquet type {other}", "Write it as text or as a number.")


def _decimal(logical: dict[str, Any], name: str) -> str:
    if logical["precision"] > 38:
        raise _unsupported(
            f"the column {name} is a decimal of {logical['precision']} digits, and Spark has 38",
            "Write it with at most 38 digits, or as text.",
        )
    return f"decimal({logical['precision']},{logical['scale']})"


def _timestamp(logical: dict[str, Any], name: str) -> str:
    if logical["timeUnit"] == "nanoseconds":
        raise _unsupported(
            f"the column {name} holds timestamps in nanoseconds, which Spark does not read",
            "Write them in microseconds (pandas and pyarrow: coerce_timestamps=“us”).",
        )
    return "timestamp" if logical["isAdjustedToUTC"] else "timestamp_ntz"


def _unsupported(what: str, hint: str) -> _Unsupported:
    error = _Unsupported(f"{what}.")
    error.add_note(hint)
    return error
