"""JSON lines whose values are all in their columns. A line is as certain as can be where writing its values again gives
the line, byte by byte. Writers differ in small things (escapes, zeros behind a fraction); then the line has to hold as
many names as there are values, no number that a double cannot hold, and nothing behind its end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.formats.options import records_path
from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Converter, Expression, all_of, any_of, total
from ingestions.engine.loader.readers import Readers, came_through_a_double
from ingestions.engine.loader.rows import REPLACEMENT, is_whole
from ingestions.engine.schema import types

#: read by Spark's parser as what they are: it takes no other token for them, and nothing that does not fit. The others
#: are read as text.
_READ_AS = {str(each): str(each) for each in (types.BOOLEAN, types.BIGINT, types.DOUBLE)}
_READ_AS |= {name: name for name in ("tinyint", "smallint", "int")}
_DOUBLE = "double"
_OPTIONS = {"allowSingleQuotes": "false"}
#: a number of more digits than a double holds for certain, and one that may be too small or too large for it; and what
#: lines with such a number have, which is found sooner.
_LONG = r"(?=[0-9.]{17})[0-9]+\.|[0-9]{16,}[eE]|[:,\[ ]-?[0-9][0-9.]*[eE][+-]?[0-9]{3}"
_MAY_BE_LONG = r"[0-9.]{16}|[eE][+-]?[0-9]{3}"
_LARGEST = 1e15
#: names with a value.
_NAMES = r'"(?<!\\"):(?! ?null)'


@dataclass(frozen=True, slots=True)
class _Key:
    """A name of the records. ``value`` is over the parsed line."""

    name: str
    type: types.Type
    value: Expression

    @property
    def is_text(self) -> bool:
        return str(self.type) not in _READ_AS


@dataclass(frozen=True, slots=True)
class Style:
    """How a writer sets its lines: the order of ``keys``, what stands between them, whether a field without a value is
    left out, and whether a whole number in a column of fractions has no point (``None``: each line tells)."""

    keys: tuple[str, ...]
    comma: str
    colon: str
    leaves_out: bool
    bare: bool | None


def frame(
    readers: Readers, shape: Shape, addresses: Sequence[str], targets: Sequence[Column], converter: Converter
) -> Any | None:
    """Columns ``source_file``, ``modified_at``, ``certain`` and ``v<n>`` for each of ``targets``."""
    kinds = [types.parse(column.type) for column in targets]
    names = [readers.rules.source(column.name) for column in targets] + sorted(readers.rules.dropped)
    if (
        not names
        or shape.option("multiline") == "true"
        or shape.option("encoding", "UTF-8").upper() not in ("UTF-8", "UTF8")
        or records_path(readers.options)
        or len({name.lower() for name in names}) < len(names)
        or any(map(types.is_nested, kinds))
    ):
        return None
    kinds += [types.STRING] * (len(names) - len(kinds))
    keys = [_Key(name, kind, F.col(f"k{at}")) for at, (name, kind) in enumerate(zip(names, kinds, strict=True))]
    df = readers.load_shape("text", shape, addresses).where(F.octet_length("value") > 0)
    schema = ",".join(f"{types.quoted(key.name)} {_READ_AS.get(str(key.type), 'string')}" for key in keys)
    df = df.select(
        "value", F.from_json("value", schema, _OPTIONS).alias("row"), *readers.file_columns(shape, addresses)
    )
    df = df.select(
        "source_file", "modified_at", "value", *(F.col("row")[key.name].alias(f"k{at}") for at, key in enumerate(keys))
    )
    texts = [at for at in range(len(targets)) if keys[at].is_text and keys[at].type != types.STRING]
    df = converter.quickly(df, [(keys[at].value, keys[at].type, f"v{at}") for at in texts])
    certain = _whole(keys[: len(targets)]) & _written(keys, shape.sample, converter)
    values = [F.col(f"v{at}") if at in texts else keys[at].value.alias(f"v{at}") for at in range(len(targets))]
    return df.select("source_file", "modified_at", certain.alias("certain"), *values)


def _whole(keys: Sequence[_Key]) -> Expression:
    """Each text is wholly in its column, and all of them are text: the line holds no character that may stand for other
    bytes. (What the parser itself put in the place of bytes is in the values only: no such line is written again.)"""
    typed = [(at, key) for at, key in enumerate(keys) if key.is_text and key.type != types.STRING]
    whole = [is_whole(key.value, F.col(f"v{at}"), key.type) for at, key in typed]
    return all_of([*whole, ~F.contains(F.col("value"), F.lit(REPLACEMENT))])


def _written(keys: Sequence[_Key], sample: str, converter: Converter) -> Expression:
    """Whether the values are all that the line holds."""
    counted = F.coalesce(_counted(keys, converter), F.lit(False))
    style = style_of(sample, {key.name: key.type for key in keys})
    if style is None:
        return counted
    # not ``|``: Spark would work out parts of the other for each line
    return F.when(F.coalesce(_line(keys, style) == F.col("value"), F.lit(False)), True).otherwise(counted)


# ---- written again


def style_of(sample: str, known: dict[str, types.Type]) -> Style | None:
    """The way to write that fits a first line; none where the line has names that are not ``known``."""
    try:
        pairs = json.loads(sample, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if not sample.startswith("{") or not pairs or any(name not in known for name, _ in pairs):
        return None
    keys = tuple(name for name, _ in pairs)
    if len(set(keys)) < len(keys):
        return None
    colon = ": " if sample.startswith(f"{{{_quoted(keys[0])}: ") else ":"
    comma = ", " if len(keys) < 2 or f", {_quoted(keys[1])}{colon}" in sample else ","
    leaves_out = len(keys) < len(known) and all(value is not None for _, value in pairs)
    whole = [
        value for name, value in pairs if str(known[name]) == _DOUBLE and value is not None and value == int(value)
    ]
    bare = isinstance(whole[0], int) if whole else None
    return Style(keys, comma, colon, leaves_out, bare)


def _line(keys: Sequence[_Key], style: Style) -> Expression:
    by_name = {key.name: key for key in keys}
    pieces = []
    for at, name in enumerate(style.keys):
        pieces += _field(by_name[name], f"{style.comma if at else '{'}{_quoted(name)}{style.colon}", style)
    line = F.concat(*pieces, F.lit("}"))
    others = [key.value.isNull() for key in keys if key.name not in style.keys]
    return F.when(all_of(others), line) if others else line


def _field(key: _Key, start: str, style: Style) -> list[Expression]:
    """What stands in the line for a key, behind ``start``. In pieces: each of them is copied once."""
    none = "" if style.leaves_out else f"{start}null"

    def unless_null(text: str, otherwise: str) -> Expression:
        return F.when(key.value.isNotNull(), F.lit(text)).otherwise(F.lit(otherwise))

    if key.is_text:
        return [unless_null(f'{start}"', none), F.coalesce(key.value, F.lit("")), unless_null('"', "")]
    return [unless_null(start, none), F.coalesce(_token(key, style), F.lit(""))]


def _token(key: _Key, style: Style) -> Expression:
    """A value that is no text as JSON has it; null for none."""
    if str(key.type) != _DOUBLE or style.bare is False:
        return key.value.cast("string")
    whole = key.value.cast("bigint")
    bare = (whole == key.value) & (F.abs(key.value) < _LARGEST)
    if style.bare is None:
        bare &= ~F.contains(F.col("value"), F.lit(".0"))
    return F.when(bare, whole.cast("string")).otherwise(key.value.cast("string"))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


# ---- counted


def _counted(keys: Sequence[_Key], converter: Converter) -> Expression:
    """A line of an object that ends where the line ends, with as many names as values; then no name is unknown, none is
    there twice, and no value was refused.

    What counts as a name is a quote and a colon. That is never too few of them: escaped ones, inside of texts, are left
    out, and no space stands between a quote and its colon. Too many make a line uncertain, and nothing worse.
    """
    line = F.col("value")
    given = total([key.value.isNotNull().cast("int") for key in keys])
    end = converter.end
    fractions = any(str(key.type) == _DOUBLE for key in keys)
    spaced = F.contains(line, F.lit('" ')) | F.contains(line, F.lit('"\t'))
    # what has values was parsed, and nothing is behind what is closed once, at its end; else the parser has to look
    closed_once = (given > 0) & (F.octet_length(F.substring_index(line, "}", 1)) == F.octet_length(line) - 1)
    checks = [
        F.startswith(line, F.lit("{")) & F.endswith(line, F.lit("}")),
        ~F.contains(line, F.lit('\\\\":')),
        F.regexp_count(line, F.lit(_NAMES)) == given,
        F.when(spaced, ~line.rlike(r'"[ \t]+:')).otherwise(True),
        ~any_of([came_through_a_double(line, key.name, key.value, key.type) for key in keys if key.is_text]),
        # the line is bytes as they were; of those that are no UTF-8 the parser has made other characters
        *(is_whole(key.value, key.value, types.STRING) for key in keys if key.is_text),
        *(F.coalesce(F.abs(key.value) < _LARGEST, F.lit(True)) for key in keys if str(key.type) == _DOUBLE),
        *([~F.when(line.rlike(_MAY_BE_LONG), line.rlike(_LONG)).otherwise(False)] if fractions else []),
        F.when(closed_once, True).otherwise(
            F.from_json(F.concat(F.lit('{"r":'), line, F.lit(f',"{end}":1}}')), f"`{end}` int", _OPTIONS)[end] == 1
        ),
    ]
    return all_of(checks)
