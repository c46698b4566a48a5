"""Text encodings that Python and Java both know, under one name."""

from __future__ import annotations

import codecs

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


def python_name(java: str) -> str:
    """The codec for a name that :func:`java_name` gave."""
    return _PYTHON[java]
