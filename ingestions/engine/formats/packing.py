"""Compression by content. Spark itself goes by a file's name alone; what it has to be told otherwise is found out here.

Of gzip, bzip2, Zstandard and zlib the first bytes tell. What Hadoop writes as ``.snappy`` and ``.lz4`` is blocks
without a mark of their own, so there the name, or a person, has to say so.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from autoloader.lib.errors import FileError

#: codec → the end of a name by which Spark unpacks with it, case included.
EXTENSIONS = {
    "gzip": ".gz",
    "bzip2": ".bz2",
    "deflate": ".deflate",
    "snappy": ".snappy",
    "lz4": ".lz4",
    "zstd": ".zst",
}
CODECS = tuple(EXTENSIONS)
_MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "zstd": b"\x28\xb5\x2f\xfd"}
#: what other programs write under the same name, and Spark cannot read: it finds no row in it, and says nothing.
_FRAMES = (
    (b"\x04\x22\x4d\x18", "lz4", "the frames of the lz4 program, and Spark reads Hadoop's blocks"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy", "Snappy's framing format, and Spark reads Hadoop's blocks"),
    (b"\xfd7zXZ\x00", "xz", "xz, which Spark does not read"),
)


def named(address: str) -> str:
    """The codec that Spark chooses by the file's name, ``""`` for none."""
    return next((codec for codec, ending in EXTENSIONS.items() if address.endswith(ending)), "")


def found(address: str, raw: bytes, said: str | None) -> str:
    """The codec of a file with these first bytes, ``""`` for none. ``said``: what a person says it is. Raises FileError
    where the content is something else than was said, or packed so that Spark cannot read it."""
    for magic, codec, what in _FRAMES:
        if raw.startswith(magic):
            raise _refused(address, f"is packed as {what}", f"Compress it with gzip or bzip2 instead of {codec}.")
    seen = _seen(raw)
    if said is None:
        by_name = named(address)
        return seen or (by_name if by_name in ("snappy", "lz4") else "")
    if said in ("snappy", "lz4") and not seen:
        return said
    if seen != said:
        is_it = f"compressed with {seen}" if seen else "not compressed so"
        wanted = f"compressed with {said}" if said else "not compressed"
        raise _refused(
            address,
            f"is to be {wanted} by the format's options, and is {is_it}",
            "Leave the option compression empty: it is recognised by itself.",
        )
    return said


def read_as(address: str, codec: str) -> str | None:
    """The end of the name by which Spark has to see the file; ``None`` where its own name says the right thing."""
    return None if named(address) == codec else EXTENSIONS.get(codec, "")


def _seen(raw: bytes) -> str:
    for codec, magic in _MAGIC.items():
        if raw.startswith(magic):
            return codec
    return "deflate" if _is_zlib(raw) else ""


def _is_zlib(raw: bytes) -> bool:
    """A text may begin with the two bytes of zlib's header (``x^``); it does not unpack."""
    if len(raw) < 2 or raw[0] != 0x78 or (raw[0] * 256 + raw[1]) % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(raw, 64))
    except zlib.error:
        return False


def unpack(address: str, raw: bytes, codec: str, complete: bool, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` bytes of the content that begins with ``raw``, and whether that is all of it. ``complete``:
    ``raw`` is the whole file. Raises FileError for content that is damaged."""
    try:
        return _UNPACK[codec](raw, complete, limit)
    except _Cut:
        raise damaged(address, codec, "ends before its end") from None
    except (zlib.error, OSError, ValueError, EOFError, pa.ArrowException):
        raise damaged(address, codec, "is damaged") from None


def damaged(address: str, codec: str, how: str) -> FileError:
    return FileError(
        f"{codec}_damaged", f"The {codec} content of {address} {how}.", "Upload the file again, as a whole.",
        path=address,
    )  # fmt: skip


class _Member(Protocol):
    """What unpacks one member: zlib's and bz2's objects alike."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Cut(Exception):
    """The file ends in the middle of its compressed content."""


def _stream(raw: bytes, complete: bool, limit: int, new: Callable[[], _Member], magic: bytes) -> tuple[bytes, bool]:
    """Members one after the other, each with a decompressor of its own."""
    parts: list[bytes] = []
    room = limit
    while raw.startswith(magic):
        member = new()
        part = member.decompress(raw, room)
        parts.append(part)
        room -= len(part)
        if not member.eof:
            if complete and room and not getattr(member, "unconsumed_tail", b""):
                raise _Cut
            return b"".join(parts), False
        raw = member.unused_data
        if not room:
            return b"".join(parts), False
    return b"".join(parts), complete


def _gzip(raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
    return _stream(raw, complete, limit, lambda: zlib.decompressobj(wbits=31), _MAGIC["gzip"])


def _bzip2(raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
    return _stream(raw, complete, limit, bz2.BZ2Decompressor, _MAGIC["bzip2"])


def _deflate(raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
    return _stream(raw, complete, limit, zlib.decompressobj, b"\x78")


def _zstd(raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    left = limit
    with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
        while left:
            try:
                part = stream.read(min(left, 4096))
            except OSError:
                if complete:
                    raise _Cut from None
                return b"".join(parts), False
            if not part:
                return b"".join(parts), complete
            parts.append(part)
            left -= len(part)
    return b"".join(parts), False


def _blocks(codec: str) -> Callable[[bytes, bool, int], tuple[bytes, bool]]:
    """Hadoop's blocks: the content's length, then pieces, each behind its packed length; both of four bytes."""
    packer = pa.Codec(codec)

    def unpacked(raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        at = size = 0
        while at + 8 <= len(raw) and size < limit:
            whole, at = int.from_bytes(raw[at : at + 4], "big"), at + 4
            while whole > 0 and at + 4 <= len(raw) and size < limit:
                length, at = int.from_bytes(raw[at : at + 4], "big"), at + 4
                if not 0 < length <= 1 << 26 or whole > 1 << 28:
                    raise ValueError("no block of Hadoop's")
                piece = raw[at : at + length]
                if len(piece) < length:
                    if complete:
                        raise _Cut
                    return b"".join(parts), False
                part = packer.decompress(piece, decompressed_size=_length(piece, codec, whole)).to_pybytes()
                parts.append(part)
                at, whole, size = at + length, whole - len(part), size + len(part)
        return b"".join(parts)[:limit], complete and at >= len(raw) and size <= limit

    return unpacked


def _length(piece: bytes, codec: str, whole: int) -> int:
    """What a piece unpacks to: Snappy's begins with it; of LZ4 there is one piece a block, as Hadoop writes it."""
    if codec != "snappy":
        return whole
    length = shift = 0
    for byte in piece[:5]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if length > whole:
        raise ValueError("a piece larger than its block")
    return length


_UNPACK: dict[str, Callable[[bytes, bool, int], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "deflate": _deflate,
    "zstd": _zstd,
    "snappy": _blocks("snappy"),
    "lz4": _blocks("lz4_raw"),
}


def _refused(address: str, how: str, hint: str) -> FileError:
    return FileError("compression_mismatch", f"{address} {how}.", hint, path=address)
