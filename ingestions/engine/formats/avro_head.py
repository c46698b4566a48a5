"""The columns of an Avro file from the schema in its header, in Spark's words for their types."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from autoloader.lib.errors import FileError
from ingestions.engine.formats.head import STEPS, Named, Readable, empty
from ingestions.engine.formats.shape import Shape, ShapeColumn, check_count, check_twins, quoted

_MAGIC = b"Obj\x01"
#: the mark behind the header and behind each block, chosen anew for each file.
_SYNC_BYTES = 16
_CODECS = ("null", "deflate", "snappy", "bzip2", "zstandard", "xz")
_PRIMITIVE = {
    "null": "string",
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "bytes": "binary",
    "string": "string",
}
#: (logical type, type beneath) → Spark's type. Others stay what lies beneath, a time of day the number that it is.
_LOGICAL = {
    ("date", "int"): "date",
    ("timestamp-millis", "long"): "timestamp",
    ("timestamp-micros", "long"): "timestamp",
    ("local-timestamp-millis", "long"): "timestamp_ntz",
    ("local-timestamp-micros", "long"): "timestamp_ntz",
}
#: what a schema may say that changes nothing of how a file is read.
_SAYINGS = ("doc", "default", "aliases", "order")


class _Unsupported(Exception):
    """A schema that Spark does not read; the text says why."""


class _Short(Exception):
    """The header goes on behind the bytes at hand."""


def read_shape(source: Readable, file: Named) -> Shape:
    """Files are read together where their schemas are one, but for comments and the like. Raises FileError."""
    address = file.address
    schema = _schema(source, file)
    names: dict[str, Any] = {}
    try:
        if not isinstance(schema, dict) or schema.get("type") != "record":
            raise _Unsupported("its values are no records, so they have no columns")
        fields = [(str(each["name"]), _type(each["type"], names)) for each in _fields(schema, names)]
    except _Unsupported as error:
        raise FileError(
            "avro_type", f"{address}: {error}.", "Write the data as records whose types Spark reads.", path=address
        ) from None
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise _broken(address, "its schema is not one of Avro's") from None
    check_count(address, len(fields))
    check_twins(address, [name for name, _ in fields])
    bare = json.dumps(_bare(schema), sort_keys=True)
    digest = hashlib.sha256(bare.encode()).hexdigest()[:16]
    return Shape("avro", tuple(ShapeColumn(name, type_) for name, type_ in fields), (("schema", digest),))


def _schema(source: Readable, file: Named) -> Any:
    for step in STEPS:
        raw = source.read_range(file.address, 0, step)
        if not raw:
            raise empty(file.address)
        if not raw.startswith(_MAGIC):
            raise _broken(file.address, "it does not begin like one")
        reader = _Reader(raw)
        try:
            meta = reader.metadata()
            sync = reader.take(_SYNC_BYTES)
        except _Short:
            if len(raw) < step:
                raise _broken(file.address, "it ends within its header") from None
            continue
        if source.read_range(file.address, -_SYNC_BYTES, _SYNC_BYTES) != sync:  # Spark 3.5 would pass over the rest
            raise _broken(file.address, "it ends in the middle of a block, so it was cut off")
        codec = meta.get("avro.codec", b"null").decode("utf-8", "replace")
        if codec not in _CODECS:
            raise _broken(file.address, f"it is packed with {codec!r}, which Spark does not read")
        try:
            return json.loads(meta["avro.schema"])
        except (KeyError, ValueError, RecursionError):
            raise _broken(file.address, "its schema cannot be read") from None
    raise _broken(file.address, f"its header does not end within {STEPS[-1]:,} bytes")


class _Reader:
    """Avro's own binary form, as far as a header needs it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = len(_MAGIC)

    def metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        while count := self._long():
            if count < 0:
                self._long()  # the block's size in bytes
            for _ in range(abs(count)):
                key = self._bytes().decode("utf-8", "replace")
                found[key] = self._bytes()
        return found

    def _long(self) -> int:
        value = shift = 0
        while True:
            if self.at >= len(self.raw) or shift > 63:
                raise _Short
            byte = self.raw[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)

    def _bytes(self) -> bytes:
        return self.take(self._long())

    def take(self, length: int) -> bytes:
        if length < 0 or self.at + length > len(self.raw):
            raise _Short
        self.at += length
        return self.raw[self.at - length : self.at]


def _fields(schema: dict[str, Any], names: dict[str, Any]) -> list[dict[str, Any]]:
    _define(schema, names, None)
    fields = schema["fields"]
    assert isinstance(fields, list)
    return fields


def _define(schema: dict[str, Any], names: dict[str, Any], type_: str | None) -> None:
    """A named type may be used again by its name; ``None`` while it is being read: then it holds itself."""
    space, name = str(schema.get("namespace") or ""), str(schema["name"])
    names[name.rpartition(".")[2]] = names[f"{space}.{name}" if space else name] = type_


def _type(schema: Any, names: dict[str, Any]) -> str:
    if isinstance(schema, list):
        return _union(schema, names)
    if isinstance(schema, str):
        if schema in _PRIMITIVE:
            return _PRIMITIVE[schema]
        known = names[schema if schema in names else schema.rpartition(".")[2]]
        if known is None:
            raise _Unsupported(f"its type {schema} holds itself, which no column can")
        return str(known)
    kind = schema["type"]
    if isinstance(kind, dict | list):
        return _type(kind, names)
    if (logical := _logical(schema, kind)) is not None:
        found = logical
    elif kind == "array":
        return f"array<{_type(schema['items'], names)}>"
    elif kind == "map":
        return f"map<string,{_type(schema['values'], names)}>"
    elif kind == "record":
        fields = [f"{quoted(each['name'])}:{_type(each['type'], names)}" for each in _fields(schema, names)]
        found = f"struct<{','.join(fields)}>"
    elif kind in ("enum", "fixed"):
        found = "string" if kind == "enum" else "binary"
    else:
        return _type(kind, names)
    if kind in ("record", "enum", "fixed"):
        _define(schema, names, found)
    return found


def _logical(schema: dict[str, Any], kind: str) -> str | None:
    name = schema.get("logicalType")
    if name == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = int(schema["precision"]), int(schema.get("scale") or 0)
        if precision > 38:
            raise _Unsupported(f"it has a decimal of {precision} digits, and Spark has 38")
        return f"decimal({precision},{scale})"
    return _LOGICAL.get((str(name), kind))


def _union(branches: list[Any], names: dict[str, Any]) -> str:
    """Spark's way: null makes it optional, two numbers are the wider one, and others a struct of which one is set."""
    types = [_type(each, names) for each in branches if each != "null"]
    if len(types) <= 1:
        return types[0] if types else "string"
    if set(types) == {"int", "bigint"}:
        return "bigint"
    if set(types) == {"float", "double"}:
        return "double"
    return f"struct<{','.join(f'member{at}:{type_}' for at, type_ in enumerate(types))}>"


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key not in _SAYINGS}
    return schema


def _broken(address: str, why: str) -> FileError:
    return FileError(
        "not_avro",
        f"{address} is no Avro file that can be read: {why}.",
        "Upload the file again, as a whole, or leave it out with a pattern.",
        path=address,
    )
