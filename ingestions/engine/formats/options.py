"""What may be said about a format by hand: which option belongs to which format, and what each of them may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.formats.encodings import java_name
from ingestions.engine.formats.packing import CODECS

#: ways to write a tab that people and other tools use.
_TAB = ("\\t", "tab", "TAB")
_TEXT = ("csv", "json", "xml", "text")
_VALUES = ("csv", "xml")
#: option → the formats that it is for. Those that are not here stand in every client's body, whatever the format.
_BELONGS: dict[str, tuple[str, ...]] = {
    "escape": ("csv",),
    "null_value": _VALUES,
    "null_values": _VALUES,
    "skip_lines": ("csv",),
    "comment": ("csv",),
    "date_format": (*_VALUES, "json"),
    "timestamp_format": (*_VALUES, "json"),
    "decimal_separator": _VALUES,
    "thousands_separator": _VALUES,
    "row_tag": ("xml",),
    "records_path": ("json",),
}
_NO_COMPRESSION = ("none", "uncompressed")
_FOUND_OUT = (None, "", "auto")
_TAG = re.compile(r"[^\W\d][\w.\-]*(?::[^\W\d][\w.\-]*)?")
_STEP = r"[^.\[\]*`'\"\s]+"
_PATH = re.compile(rf"(?:\$\.)?({_STEP}(?:\.{_STEP})*)\[\*\]")
#: letters of Spark's patterns that say something when a text is read, and how often each may stand in a row.
_DATE_LETTERS = {"y": 6, "M": 4, "L": 4, "d": 2, "D": 3}
_TIME_LETTERS = {"a": 1, "h": 2, "K": 2, "k": 2, "H": 2, "m": 2, "s": 2, "S": 6, "V": 2, "z": 4, "O": 4, "X": 5, "x": 5,
                 "Z": 5}  # fmt: skip


def delimiter(options: config.FormatOptions) -> str | None:
    """The one character between fields, ``None`` where it is to be found out."""
    return "\t" if options.delimiter in _TAB else options.delimiter


def codec(options: config.FormatOptions) -> str | None:
    """The compression that the files are said to have, ``""`` for none; ``None`` where it is to be found out."""
    if options.compression in _FOUND_OUT:
        return None
    return "" if options.compression in _NO_COMPRESSION else options.compression


def null_texts(options: config.FormatOptions) -> tuple[str, ...]:
    """The texts that mean no value."""
    one = () if options.null_value is None else (options.null_value,)
    return tuple(dict.fromkeys((*one, *options.null_values)))


def records_path(options: config.FormatOptions) -> tuple[str, ...]:
    """The keys on the way to the array of records, ``()`` where a document is a record or an array of them."""
    found = _PATH.fullmatch(options.records_path.strip()) if options.records_path else None
    return tuple(found[1].split(".")) if found else ()


def check(format_: config.Format) -> None:
    """Raises ConfigError for the first option that is none, or that belongs to another format."""
    options = format_.options
    for name, formats in _BELONGS.items():
        default = type(options).model_fields[name].get_default(call_default_factory=True)
        if getattr(options, name) != default and format_.type not in (*formats, "auto"):
            raise _fault(
                name,
                "foreign_option",
                f"The option {name} is for {' and '.join(formats)}, and the format is {format_.type}.",
                "Leave it out, or choose the format that fits.",
            )
    if options.encoding:
        java_name(options.encoding)
    checks: tuple[Callable[[config.FormatOptions], Iterator[ConfigError]], ...] = (
        _compression,
        _numbers,
        _moments,
        _paths,
    )
    for each in (*checks, *((_csv,) if format_.type in ("csv", "auto") else ())):
        for fault in each(options):
            raise fault
    _belongs_together(format_)


def _belongs_together(format_: config.Format) -> None:
    options = format_.options
    if format_.type not in (*_TEXT, "auto") and codec(options):
        raise _fault(
            "compression",
            "foreign_option",
            f"Files of the format {format_.type} say their compression themselves.",
            "Leave it out.",
        )


def _compression(options: config.FormatOptions) -> Iterator[ConfigError]:
    known = (*_FOUND_OUT, *_NO_COMPRESSION, *CODECS)
    if options.compression not in known:
        yield _fault(
            "compression",
            "compression_not_available",
            f"There is no compression {options.compression!r} that can be read.",
            f"Leave it empty, as it is recognised by itself, or use one of: none, {', '.join(CODECS)}.",
        )


def _csv(options: config.FormatOptions) -> Iterator[ConfigError]:
    between = delimiter(options)
    if between is not None and (len(between) != 1 or between in "\r\n\x00"):
        yield _one_character("delimiter", "Use one character, such as , or ; or \\t, or leave it empty to detect it.")
    if len(options.quote) > 1 or options.quote in ("\r", "\n", "\x00"):
        yield _one_character("quote", "Use one character, or an empty text for files without quotes.")
    if options.escape is not None and len(options.escape) != 1:
        yield _one_character("escape", "Leave it empty for doubled quotes, or use one character, such as \\.")
    if between is not None and between == options.quote:
        yield _one_character("delimiter", "Delimiter and quote have to differ.")
    if options.comment is not None:
        if len(options.comment) != 1 or options.comment in "\r\n\x00 " or not options.comment.isascii():
            yield _one_character("comment", "Use the one character that lines of comment begin with, such as #.")
        if options.comment in (between, options.quote, options.escape):
            yield _one_character("comment", "It has to differ from delimiter, quote and escape.")


def _numbers(options: config.FormatOptions) -> Iterator[ConfigError]:
    point, group = options.decimal_separator, options.thousands_separator
    if group is None:
        return
    if len(group) != 1 or group not in ".,'’_  \u202f":
        yield _one_character("thousands_separator", "Use a point, a comma, an apostrophe, an underscore or a space.")
    if group == (point or "."):
        yield _fault(
            "thousands_separator",
            "contradiction",
            f"{group!r} would both group digits and begin the fraction.",
            "Set decimal_separator to “,” where the thousands are parted by points.",
        )


def _moments(options: config.FormatOptions) -> Iterator[ConfigError]:
    for name, pattern, letters in (
        ("date_format", options.date_format, _DATE_LETTERS),
        ("timestamp_format", options.timestamp_format, {**_DATE_LETTERS, **_TIME_LETTERS}),
    ):
        if pattern is not None and (why := pattern_fault(pattern, letters)):
            yield _fault(
                name,
                "bad_pattern",
                f"“{pattern}” is no pattern that values can be read by: {why}.",
                "Write Spark's letters, such as dd.MM.yyyy or MM/dd/yyyy HH:mm:ss, and other words in single quotes.",
            )


def pattern_fault(pattern: str, letters: dict[str, int]) -> str | None:
    """What is wrong with a pattern for dates or times, ``None`` for one that keeps all that a text says."""
    bare = re.sub(r"'(?:[^']|'')*'", "", pattern)
    if "'" in bare:
        return "a single quote is opened and never closed"
    if any(char in bare for char in "{}#"):
        return "{, } and # have no meaning there"
    runs = [(found[0][0], len(found[0])) for found in re.finditer(r"([A-Za-z])\1*", bare)]
    for letter, times in runs:
        if letter not in letters:
            return f"{letter} says nothing that a column of this type keeps"
        if times > letters[letter]:
            return f"{letter} stands {times} times in a row"
    there = {letter for letter, _ in runs}
    if "y" not in there or not (there & {"D"} or (there & {"M", "L"} and "d" in there)):
        return "year, month and day have to be there"
    if there & {"h", "K"} and "a" not in there:
        return "an hour of twelve needs its half of the day (a)"
    if re.search(r"[\[\]]", bare) and not re.fullmatch(r"[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*", bare):
        return "brackets do not pair"
    return None


def _paths(options: config.FormatOptions) -> Iterator[ConfigError]:
    if options.records_path is not None and not _PATH.fullmatch(options.records_path.strip()):
        yield _fault(
            "records_path",
            "bad_path",
            f"“{options.records_path}” does not say where the records of a document are.",
            "Name the keys on the way to an array, with [*] behind it: Records[*], features[*] or data.items[*].",
        )
    if options.row_tag is not None and not _TAG.fullmatch(options.row_tag):
        yield _fault(
            "row_tag",
            "bad_row_tag",
            f"{options.row_tag!r} is no name of an XML element.",
            "Give the name of the element that makes a row, without its brackets: order.",
        )


def _one_character(name: str, hint: str) -> ConfigError:
    return _fault(name, f"invalid_{name}", f"The {name} is not usable.", hint)


def _fault(name: str, code: str, message: str, hint: str) -> ConfigError:
    return ConfigError(code, message, hint, field=f"format.options.{name}")
