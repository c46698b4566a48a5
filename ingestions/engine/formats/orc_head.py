"""The columns of an ORC file from its footer, in Spark's words for their types."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc

from autoloader.lib.errors import FileError
from ingestions.engine.formats.head import Named, Readable, empty
from ingestions.engine.formats.shape import Shape, ShapeColumn, check_count, check_twins, quoted

_PLAIN = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
}
#: where Spark writes down which of its types a column was.
_SPARKS_OWN = b"spark.sql.catalyst.type"


class _Unsupported(Exception):
    """A type that Spark does not read; the text says which."""


def read_shape(source: Readable, file: Named) -> Shape:
    """Top-level columns with their types as DDL text. A time without a zone is ``timestamp_ntz`` unless Spark wrote it
    as an instant. FileError for what is no whole, readable ORC file."""
    address = file.address
    if not file.size_bytes or not source.read_range(address, 0, 3):
        raise empty(address)
    if source.read_range(address, 0, 3) != b"ORC":
        raise _broken(address, "it does not begin like one")
    try:
        schema = orc.ORCFile(pa.PythonFile(_Ranges(source, file), mode="r")).schema
        columns = tuple(ShapeColumn(field.name, _column(field)) for field in schema)
    except _Unsupported as error:
        raise FileError(
            "orc_type", f"{address}: {error}, which Spark does not read.", "Write it as another type.", path=address
        ) from None
    except (pa.ArrowException, OSError, ValueError):
        raise _broken(address, "its footer cannot be read") from None
    check_count(address, len(columns))
    check_twins(address, [column.name for column in columns])
    return Shape("orc", columns)


class _Ranges(io.RawIOBase):
    """A file of which only what is asked for is fetched: ORC's reader asks for the footer at its end."""

    def __init__(self, source: Readable, file: Named) -> None:
        super().__init__()
        self._source = source
        self._file = file
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._file.size_bytes - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._source.read_range(self._file.address, self._at, wanted) if wanted else b""
        self._at += len(data)
        return data


def _column(field: Any) -> str:
    marked = (field.metadata or {}).get(_SPARKS_OWN, b"").decode("utf-8", "replace")
    if marked in ("timestamp", "timestamp_ntz"):
        return str(marked)
    return _type(field.type, field.name)


def _type(type_: Any, name: str) -> str:
    if type_ in _PLAIN:
        return _PLAIN[type_]
    if pa.types.is_struct(type_):
        fields = [f"{quoted(field.name)}:{_type(field.type, f'{name}.{field.name}')}" for field in type_]
        return f"struct<{','.join(fields)}>"
    if pa.types.is_map(type_):
        return f"map<{_type(type_.key_type, f'{name}.key')},{_type(type_.item_type, f'{name}.value')}>"
    if pa.types.is_list(type_):
        return f"array<{_type(type_.value_type, f'{name}.element')}>"
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_) and type_.tz is None:
        return "timestamp_ntz"
    if pa.types.is_timestamp(type_):
        raise _Unsupported(f"the column {name} is a timestamp with local time zone")
    raise _Unsupported(f"the column {name} is a {'union' if pa.types.is_union(type_) else type_}")


def _broken(address: str, why: str) -> FileError:
    return FileError(
        "not_orc",
        f"{address} is no ORC file that can be read: {why}.",
        "Upload the file again, as a whole, or leave it out with a pattern.",
        path=address,
    )
