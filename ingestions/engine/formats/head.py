"""The first bytes of a text file: fetched, unpacked and decoded, as much as is asked for and no more."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Protocol

from autoloader.lib.errors import FileError
from ingestions.engine import config
from ingestions.engine.formats import encodings, packing
from ingestions.engine.formats.encodings import UTF_8, java_name, python_name
from ingestions.engine.formats.options import codec as given_codec

#: bytes asked for, one step after the other, until the header is complete.
STEPS = (64 * 1024, 256 * 1024, 1024 * 1024)
#: control characters that no text has.
_CONTROL = bytes((*range(0x09), 0x0B, *range(0x0E, 0x1A), *range(0x1B, 0x1E)))
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
MAGIC = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a ZIP archive (an Excel workbook is one too)"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office document"),
)


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
    """The beginning of a file as text, without its byte-order mark. ``complete``: it is the whole file. ``encoding`` is
    Java's name; ``codec`` the compression by its content, ``""`` for none."""

    text: str
    complete: bool
    encoding: str = UTF_8
    codec: str = ""

    def options(self, address: str) -> dict[str, str]:
        """What a reader has to be told of it. ``read_as``: the end of the name by which Spark has to see the file."""
        other = packing.read_as(address, self.codec)
        packed = {"codec": self.codec} if self.codec == "zstd" else {}  # not every cluster has it
        return {"encoding": self.encoding, **packed, **({} if other is None else {"read_as": other})}


def read_head(source: Readable, file: Named, options: config.FormatOptions, step: int) -> Head:
    """The first ``STEPS[step]`` bytes as text. Encoding and compression are those of ``options``, or found out. Raises
    FileError for what is empty, broken, packed otherwise than was said, or no text in that encoding.
    """
    address = file.address
    raw = source.read_range(address, 0, STEPS[step])
    complete = len(raw) >= file.size_bytes or len(raw) < STEPS[step]
    if not raw:
        raise empty(address)
    codec = packing.found(address, raw, given_codec(options))
    if codec:
        raw, complete = packing.unpack(address, raw, codec, complete, STEPS[-1] if step else STEPS[0] * 4)
        if not raw and complete:
            raise empty(address)
    for magic, what in MAGIC:
        if raw.startswith(magic):
            raise not_text(address, what)
    encoding = java_name(options.encoding) if options.encoding else encodings.detect(raw, complete) or UTF_8
    return Head(_decode(address, raw, encoding, complete), complete, encoding, codec)


def empty(address: str) -> FileError:
    return FileError("empty_file", f"{address} is empty.", "Nothing to do; a new version is loaded.", path=address)


def _decode(address: str, raw: bytes, wanted: str, complete: bool) -> str:
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
    coded = start.encode("utf-8", "surrogatepass")  # in which these are bytes of their own
    return (len(coded) - len(coded.translate(None, _CONTROL))) * 20 > len(start)


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
