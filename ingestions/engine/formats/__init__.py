"""The formats that can be loaded now, and what their options may say."""

from __future__ import annotations

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.formats.encodings import java_name

AVAILABLE = ("csv", "json", "parquet")
#: Spark decides by the file's name, so these only say what a person expects.
_COMPRESSIONS = (None, "", "auto", "none", "uncompressed", "gzip")
#: ways to write a tab that people and other tools use.
_TAB = ("\\t", "tab", "TAB")

__all__ = ["AVAILABLE", "delimiter", "validate"]


def validate(format_: config.Format) -> None:
    """Raises ConfigError for a format or an option that cannot be loaded; reads no file."""
    if format_.type not in AVAILABLE:
        raise ConfigError(
            "format_not_available",
            f"The format {format_.type!r} is not available yet.",
            f"Use one of: {', '.join(AVAILABLE)}.",
            field="format.type",
        )
    options = format_.options
    if options.compression not in _COMPRESSIONS:
        raise ConfigError(
            "compression_not_available",
            f"The compression {options.compression!r} is not available yet.",
            "Leave it empty: gzip is recognised by itself in files whose names end with .gz.",
            field="format.options.compression",
        )
    if options.encoding:
        java_name(options.encoding)
    if format_.type == "csv":
        _check_csv(options)


def delimiter(options: config.FormatOptions) -> str | None:
    """The one character between fields, ``None`` where it is to be found out."""
    return "\t" if options.delimiter in _TAB else options.delimiter


def _check_csv(options: config.FormatOptions) -> None:
    between = delimiter(options)
    if between is not None and (len(between) != 1 or between in "\r\n\x00"):
        raise _one_character("delimiter", "Use one character, such as , or ; or \\t, or leave it empty to detect it.")
    if len(options.quote) > 1 or options.quote in ("\r", "\n", "\x00"):
        raise _one_character("quote", "Use one character, or an empty text for files without quotes.")
    if options.escape is not None and len(options.escape) != 1:
        raise _one_character("escape", "Leave it empty for doubled quotes, or use one character, such as \\.")
    if between is not None and between == options.quote:
        raise _one_character("delimiter", "Delimiter and quote have to differ.")


def _one_character(name: str, hint: str) -> ConfigError:
    return ConfigError(f"invalid_{name}", f"The {name} is not usable.", hint, field=f"format.options.{name}")
