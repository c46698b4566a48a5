"""Text encodings that Python and Java both know, under one name."""

from __future__ import annotations

import codecs
from contextlib import suppress

from autoloader.lib.errors import ConfigError

UTF_8 = "UTF-8"

#: Python's name of the codec -> Java's.
_JAVA = {
    "utf-8": UTF_8,
    "utf-8-sig": UTF_8,
    "ascii": "US-ASCII",
    "iso8859-1": "ISO-8859-1",
    "iso8859-2": "ISO-8859-2",
    "iso8859-5": "ISO-8859-5",
    "iso8859-7": "ISO-8859-7",
    "iso8859-9": "ISO-8859-9",
    "iso8859-15": "ISO-8859-15",
    **{f"cp125{digit}": f"windows-125{digit}" for digit in range(9)},
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32": "UTF-32",
    "utf-32-le": "UTF-32LE",
    "utf-32-be": "UTF-32BE",
    "koi8-r": "KOI8-R",
    "shift_jis": "Shift_JIS",
    "cp932": "windows-31j",
    "euc_jp": "EUC-JP",
    "euc_kr": "EUC-KR",
    "gbk": "GBK",
    "gb18030": "GB18030",
    "gb2312": "GB2312",
    "big5": "Big5",
}
#: what a text may begin with, and what it is in then.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
#: bytes that are no characters in Windows-1252.
_UNDEFINED = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))
_PYTHON = {java: python for python, java in _JAVA.items() if python != "utf-8-sig"}


def java_name(name: str) -> str:
    """The name that Spark knows an encoding by, whichever of its names a person wrote. Raises ConfigError."""
    try:
        return _JAVA[codecs.lookup(name.strip()).name]
    except (LookupError, ValueError):
        raise ConfigError(
            "unknown_encoding",
            f"There is no encoding {name!r} that can be read.",
            f"Use one of: {', '.join(sorted(_PYTHON))}.",
            field="format.options.encoding",
        ) from None


def detect(raw: bytes, complete: bool) -> str | None:
    """Java's name of the encoding that a text with these first bytes is in; ``None`` where it is no text, or UTF-8 that
    is damaged here and there. Windows-1252 and Latin-1 are told by what only one of them has. ``complete``: that is all
    of it."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return name
    if b"\x00" in raw:
        return _wide(raw)
    with suppress(UnicodeDecodeError):  # most files; what follows looks at each character
        raw.decode("utf-8")
        return UTF_8
    text = raw.decode("utf-8", "surrogateescape")
    odd = [ord(char) - 0xDC00 for char in (text if complete else text[:-3]) if "\udc80" <= char <= "\udcff"]
    if not odd:
        return UTF_8
    if sum(1 for char in text if char > "\x7f") - len(odd) > len(odd):
        return None  # most of what is no ASCII is right as UTF-8
    return "ISO-8859-1" if any(byte in _UNDEFINED for byte in odd) else "windows-1252"


def _wide(raw: bytes) -> str | None:
    """UTF-16 without a mark: of most characters one half is zero, and always the same one."""
    even, uneven = raw[0::2].count(0), raw[1::2].count(0)
    most = len(raw) // 2 * 0.6
    if uneven >= most and even * 20 < uneven:
        return "UTF-16LE"
    return "UTF-16BE" if even >= most and uneven * 20 < even else None


def python_name(java: str) -> str:
    """The codec for a name that :func:`java_name` gave."""
    return _PYTHON[java]
