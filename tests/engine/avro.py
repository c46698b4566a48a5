"""Avro files made by hand: Avro's own binary form, as far as tests need it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

_SYNC = b"S" * 16


def avro_file(fields: Sequence[Mapping[str, Any]], rows: Sequence[bytes], codec: str = "null") -> bytes:
    """A file of records ``R`` with these fields; each row is its values as the functions below write them."""
    schema = {"type": "record", "name": "R", "fields": list(fields)}
    meta = whole(2) + text("avro.schema") + text(json.dumps(schema)) + text("avro.codec") + text(codec) + whole(0)
    body = b"".join(rows)
    if codec == "deflate":
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(body) + packer.flush()
    block = whole(len(rows)) + text(body) + _SYNC if rows else b""
    return b"Obj\x01" + meta + _SYNC + block


def whole(number: int) -> bytes:
    """An int or long, the index of a union's branch, an enum's symbol."""
    left, out = (number << 1) ^ (number >> 63), b""
    while left > 0x7F:
        out += bytes([left & 0x7F | 0x80])
        left >>= 7
    return out + bytes([left])


def text(value: str | bytes) -> bytes:
    """A string or bytes."""
    data = value.encode() if isinstance(value, str) else value
    return whole(len(data)) + data


def double(number: float) -> bytes:
    return struct.pack("<d", number)


def items(*values: bytes) -> bytes:
    """An array, or a map whose values follow their keys."""
    return whole(len(values)) + b"".join(values) + whole(0) if values else whole(0)
