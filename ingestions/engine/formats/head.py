"""The first bytes of a text file: fetched, unpacked and decoded, as much as is asked for and no more."""

from __future__ import annotations

import codecs
import zlib
from dataclasses import dataclass
from typing import Protocol

from autoloader.lib.errors import FileError
from ingestions.engine.formats.encodings import UTF_8, python_name

#: bytes asked for, one step after the other, until the header is complete.
STEPS = (64 * 1024, 256 * 1024, 1024 * 1024)
_GZIP = b"\x1f\x8b"
_UTF8_MARK = codecs.BOM_UTF8
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_ENDIAN_MARKS = {
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
#: what other kinds of files begin with.
_MAGIC = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a ZIP archive (an Excel workbook is one too)"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office document"),
)
#: names by which Spark chooses another decompression than gzip.
_OTHER_PACKING = (".bz2", ".deflate", ".lz4", ".snappy", ".zst")


class Readable(Protocol):
    """The part of a source that is needed here."""

    def read_range(self, address: str, start: int, length: int) -> bytes: ...


class Named(Protocol):
    """The part of a remote file that is needed here."""

    @property
    def address(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file as text, without its byte-order mark. ``complete``: it is the whole file."""

    text: str
    complete: bool


def read_head(source: Readable, file: Named, encoding: str | None, step: int) -> Head:
    """The first ``STEPS[step]`` bytes as text. ``encoding`` is Java's name or ``None``. Raises FileError for what is
    empty, broken, packed otherwise than its name says, or no text in that encoding.
    """
    address = file.address
    raw = source.read_range(address, 0, STEPS[step])
    complete = len(raw) >= file.size_bytes or len(raw) < STEPS[step]
    if not raw:
        raise empty(address)
    packed = raw.startswith(_GZIP)
    _check_packing(address, packed, raw)
    if packed:
        raw, complete = _unpack(address, raw, complete, STEPS[-1] if step else STEPS[0] * 4)
        if not raw and complete:
            raise empty(address)
    return Head(_decode(address, raw, encoding, complete), complete)


def empty(address: str) -> FileError:
    return FileError("empty_file", f"{address} is empty.", "Nothing to do; a new version is loaded.", path=address)


def _check_packing(address: str, packed: bool, raw: bytes) -> None:
    """Spark unpacks by the file's name alone, case included: name and content have to agree."""
    named = address.endswith(".gz")
    if packed and not named:
        raise FileError(
            "compression_mismatch",
            f"{address} is compressed with gzip, but its name does not end with .gz, so Spark reads it as plain text.",
            "Rename it so that it ends with .gz, in lower case.",
            path=address,
        )
    if named and not packed:
        raise FileError(
            "compression_mismatch",
            f"{address} ends with .gz but is not compressed with gzip, so Spark cannot unpack it.",
            "Rename it without .gz, or compress it.",
            path=address,
        )
    for suffix in _OTHER_PACKING:
        if address.endswith(suffix):
            raise FileError(
                "compression_not_available",
                f"{address} ends with {suffix}, a compression that is not available yet.",
                "Compress the files with gzip, or leave them plain.",
                path=address,
            )
    for magic, what in _MAGIC:
        if raw.startswith(magic):
            raise not_text(address, what)


def _unpack(address: str, raw: bytes, complete: bool, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` bytes of a gzip file's content (of all its members), and whether that is all of it."""
    parts: list[bytes] = []
    room = limit
    try:
        while raw.startswith(_GZIP):
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(raw, room)
            parts.append(part)
            room -= len(part)
            if not member.eof:
                if complete and room and not member.unconsumed_tail:
                    raise _broken_gzip(address, "ends before its end")
                return b"".join(parts), False
            raw = member.unused_data
            if not room:
                return b"".join(parts), False
    except zlib.error:
        raise _broken_gzip(address, "is damaged") from None
    return b"".join(parts), complete


def _broken_gzip(address: str, how: str) -> FileError:
    return FileError(
        "gzip_damaged", f"The gzip content of {address} {how}.", "Upload the file again, as a whole.", path=address
    )


def _decode(address: str, raw: bytes, encoding: str | None, complete: bool) -> str:
    wanted = encoding or UTF_8
    if not wanted.startswith("UTF-") or wanted == UTF_8:
        for mark, name in _WIDE_MARKS:
            if raw.startswith(mark):
                raise _encoding(address, f"starts with a byte-order mark of {name}, but is read as {wanted}", name)
        if b"\x00" in raw:
            raise not_text(address, "binary (it holds zero bytes)")
    if wanted in ("UTF-16", "UTF-32") and not raw.startswith(_ENDIAN_MARKS[wanted]):
        raise _encoding(address, f"is read as {wanted} but has no byte-order mark", f"{wanted}LE or {wanted}BE")
    try:
        text = codecs.getincrementaldecoder(python_name(wanted))().decode(raw, complete)
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise _encoding(
            address, f"is not valid {wanted} (byte 0x{byte:02X} at {error.start:,})", "windows-1252 or ISO-8859-1"
        ) from None
    text = text.removeprefix("\ufeff")
    if "\x00" in text or _strange(text):
        raise not_text(address, "binary")
    return text


def _strange(text: str) -> bool:
    """More than one character in twenty is a control character that no text has."""
    start = text[:4096]
    odd = sum(1 for char in start if char < " " and char not in "\t\r\n\f\x1a\x1e\x1f")
    return odd * 20 > len(start)


def _encoding(address: str, how: str, instead: str) -> FileError:
    return FileError(
        "encoding_mismatch",
        f"{address} {how}.",
        f"Set the encoding of the format's options, for example {instead}.",
        path=address,
    )


def not_text(address: str, what: str) -> FileError:
    return FileError(
        "not_text",
        f"{address} is no text file: it is {what}.",
        "Leave it out with a pattern, or choose the format that fits.",
        path=address,
    )
