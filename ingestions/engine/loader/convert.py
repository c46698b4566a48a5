"""Text to typed values without a loss: a value is taken only where its text says exactly that value.

Everything here is an expression that the cluster evaluates, with ``spark.sql.ansi.enabled`` off: a cast that fails is
null. A cast that succeeds is not enough: Spark reads ``5d`` as a number, cuts nanoseconds, rounds decimals and turns
``007`` into 7. What is not taken stays text, for ``_rescued_data``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import ConfigError
from ingestions.engine.loader.forms import Forms
from ingestions.engine.schema import types

Expression = Any  # a Column of Spark Connect; PySpark ships no types that hold for it

#: the form a number has in JSON and in tidy CSV: no plus, no leading zero (phone numbers and codes are not numbers).
_NUMBER = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
#: what Spark's JSON parser makes of ``5.0`` and ``12345678.0``; also how others write whole numbers.
_WHOLE_AS_FLOAT = r"^-?(?:(?:0|[1-9][0-9]*)\.[0-9]{1,18}|[0-9](?:\.[0-9]{1,17})?[eE]\+?[0-9]{1,2})$"
_LARGE = r"^-?[0-9](?:\.[0-9]{1,17})?[eE]\+?[0-9]{1,2}$"
_SMALL = r"^-?[0-9](?:\.[0-9]{1,17})?[eE]-[0-9]{1,2}$"
_WIDE = "decimal(38,18)"
_NOT_FINITE = ("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", '"NaN"', '"Infinity"', '"-Infinity"')
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
_ZONE = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_LOCAL = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ]{_CLOCK})?"
_INSTANT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_CLOCK} ?{_ZONE}"
_MOMENT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ]{_CLOCK}(?: ?{_ZONE})?)?"
#: types whose values Spark writes in one way only.
_PLAIN = frozenset({"tinyint", "smallint", "int", "bigint", "float", "double", "date"})
_INFINITE = (float("inf"), float("-inf"))

#: Spark's ``from_json`` reads a number as a double before it gives its text: ``1.50`` is ``1.5`` then. Those with a
#: point or an exponent, outside of strings, are made texts of their own. Possessive, so linear and without recursion.
_FRACTION = r'\G((?:"(?:[^"\\]++|\\.)*+"|[^"0-9-]++|-(?![0-9])|-?+[0-9]++(?![0-9.eE]))*+)(-?+[0-9][0-9.eE+-]*+)'


@dataclass(frozen=True, slots=True)
class Conversion:
    """``value``: typed or null. ``complete``: whether the text, where there is one, is wholly in ``value``."""

    value: Expression
    complete: Expression


def let(value: Expression, body: Callable[[Expression], Expression]) -> Expression:
    """``body`` over a value that is computed once."""
    return F.get(F.transform(F.array(value), body), F.lit(0))


def all_of(conditions: list[Expression], default: bool = True) -> Expression:
    return _balanced(conditions, lambda a, b: a & b, F.lit(default))


def any_of(conditions: list[Expression]) -> Expression:
    return _balanced(conditions, lambda a, b: a | b, F.lit(False))


def total(numbers: list[Expression]) -> Expression:
    return _balanced(numbers, lambda a, b: a + b, F.lit(0))


def _balanced(parts: list[Expression], join: Callable[[Any, Any], Any], empty: Expression) -> Expression:
    """A tree of depth log n: a chain over a thousand columns is deeper than protobuf and Catalyst allow."""
    while len(parts) > 1:
        parts = [reduce(join, parts[at : at + 2]) for at in range(0, len(parts), 2)]
    return parts[0] if parts else empty


class Converter:
    """``zone_shifts``: the session's zone skips hours, so local times have to be checked. ``end``: a word that no file
    contains; it proves that a JSON text was read to its end."""

    def __init__(self, *, zone_shifts: bool, end: str, forms: Forms | None = None) -> None:
        self.zone_shifts = zone_shifts
        self.end = end
        self.forms = forms or Forms()

    def convert(self, text: Expression, type_: types.Type, *, strict: bool = False) -> Conversion:
        """``strict`` is for guessing types: ``1.0`` is then no bigint, though it could be stored as one."""
        if not types.is_nested(type_):
            value = self.scalar(text, type_, strict=strict)
            return Conversion(value, value.isNotNull() | text.isNull() | (F.trim(text) == ""))
        pair = self.pair(text, type_)
        return Conversion(pair["v"], F.coalesce(pair["ok"], F.lit(True)))

    def pair(self, text: Expression, type_: types.Type) -> Expression:
        """For a nested type: struct<v, ok>, null where there is no text. Project it once, then use its parts.

        Raises ConfigError for a type that is nested too deep to be made out of text.
        """
        if types.depth(type_) > types.MAX_DEPTH:
            raise ConfigError(
                "type_too_deep",
                f"A column's type is nested deeper than {types.MAX_DEPTH} levels: {str(type_)[:200]}.",
                "Make the inner part a string, which keeps its JSON as it was written.",
                field="format.schema",
            )
        return F.when(text.isNotNull() & (F.trim(text) != ""), self._pair(self._marked(text), type_))

    def objects(self, text: Expression) -> Expression:
        """The map of name → text of one JSON object; null for anything else, trailing text included."""
        return self._parsed(text, "map<string,string>")

    def objects_as_written(self, text: Expression) -> Expression:
        """The same with the text of each number as it stands there, in nested values too."""
        return F.transform_values(self.objects(self._marked(text)), lambda _key, each: self._unmarked(each))

    def documents(self, text: Expression) -> Expression:
        """The array of records in a file that is one JSON document: the items of an array, else the document."""
        items = F.transform(self._parsed(self._marked(text), "array<string>"), self._unmarked)
        return F.when(F.startswith(text, F.lit("[")), F.coalesce(items, F.array(text))).otherwise(F.array(text))

    def _marked(self, text: Expression) -> Expression:
        """Numbers that parsing would change as texts of their own, told from others by a word of ours."""
        return F.regexp_replace(text, _FRACTION, f'$1"{self.end}$2"')

    def _unmarked(self, text: Expression) -> Expression:
        bare = F.regexp_replace(text, f'"?{self.end}([0-9.eE+-]*+)"?', "$1")
        return F.when(F.contains(text, F.lit(self.end)), bare).otherwise(text)

    def records(self, text: Expression, keys: Sequence[str]) -> Expression:
        """The array of records below these keys of a JSON document, each as text; null where there is none, or where
        the text is no whole document."""
        inner = "array<string>"
        for key in reversed(keys):
            inner = f"struct<{types.quoted(key)}:{inner}>"
        inner = f"{inner.removesuffix('>')},{types.quoted(self.end)}:string>"
        tail = f',{{"{self.end}":"{self.end}"}}]'
        whole = F.from_json(F.concat(F.lit("["), self._marked(text), F.lit(tail)), f"array<{inner}>")

        def found(items: Expression) -> Expression:
            value = F.get(items, F.lit(0))
            for key in keys:
                value = value[key]
            whole = (F.size(items) == 2) & (F.get(items, F.lit(1))[self.end] == self.end)
            return F.when(whole, F.transform(value, self._unmarked))

        return let(whole, found)

    # scalars

    def scalar(self, text: Expression, type_: types.Type, *, strict: bool = False) -> Expression:
        if type_ == types.STRING:
            return text
        trimmed = F.trim(text)
        if isinstance(type_, types.Decimal):
            return _decimal(self.forms.number(trimmed), type_)
        match str(type_):
            case "boolean":
                return F.when(F.lower(trimmed).isin("true", "false"), trimmed.cast("boolean"))
            case "tinyint" | "smallint" | "int" | "bigint" as name:
                return _integer(self.forms.number(trimmed), name, strict)
            case "float" | "double" as name:
                return _floating(self.forms.number(trimmed), name)
            case "date" if self.forms.date:
                return F.to_date(trimmed, self.forms.date)
            case "date":
                return F.when(trimmed.rlike(_DATE), trimmed.cast("date"))
            case "timestamp":
                return self._timestamp(trimmed)
            case "timestamp_ntz" if self.forms.timestamp:
                return F.lit(None).cast("timestamp_ntz") if self.forms.zoned else self._clock(trimmed)
            case "timestamp_ntz":
                return F.when(trimmed.rlike(f"^{_LOCAL}$"), trimmed.cast("timestamp_ntz"))
            case "binary":
                return text.cast("binary")
            case name:
                return F.lit(None).cast(name)

    def quickly(self, df: Any, texts: Sequence[tuple[Expression, types.Type, str]]) -> Any:
        """``df`` with a column for each of ``texts`` (over ``df``, its type, the column's name): what :meth:`scalar`
        makes of it, sooner where it is written just as Spark would write its value."""
        plain = [at for at, (_, type_, _name) in enumerate(texts) if self._is_plain(type_)]
        casts = [texts[at][0].cast(str(texts[at][1])).alias(f"{texts[at][2]}_") for at in plain]
        values = [
            (self._sooner(text, type_, F.col(f"{name}_")) if at in plain else self._moment(text, type_)).alias(name)
            for at, (text, type_, name) in enumerate(texts)
        ]
        return df.select("*", *casts).select("*", *values)  # two steps, so that each text is parsed once

    def _is_plain(self, type_: types.Type) -> bool:
        return str(type_) in _PLAIN and self.forms == Forms(timestamp=self.forms.timestamp)

    def _sooner(self, text: Expression, type_: types.Type, value: Expression) -> Expression:
        same = value.cast("string") == text
        if str(type_) not in ("float", "double"):
            return F.when(same, value).otherwise(self.scalar(text, type_))
        digits = 15 if str(type_) == "double" else 6
        whole = (F.octet_length(text) <= digits) & (text.cast("bigint").cast("string") == text)
        exact = F.when(same & ~value.isin(*_INFINITE), value).when(whole, value)
        return exact.otherwise(self.scalar(text, type_))

    def _moment(self, text: Expression, type_: types.Type) -> Expression:
        if str(type_) != "timestamp" or self.forms.timestamp or self.zone_shifts:
            return self.scalar(text, type_)
        return F.when(text.rlike(f"^{_MOMENT}$"), text.cast("timestamp")).otherwise(self.scalar(text, type_))

    def _clock(self, text: Expression) -> Expression:
        return F.to_timestamp_ntz(text, F.lit(self.forms.timestamp))

    def _timestamp(self, text: Expression) -> Expression:
        if self.forms.timestamp:
            value = F.to_timestamp(text, self.forms.timestamp)
            moved = self.zone_shifts and not self.forms.zoned
            return F.when(value.cast("timestamp_ntz") == self._clock(text), value) if moved else value
        value = text.cast("timestamp")
        if not self.zone_shifts:
            return F.when(text.rlike(f"^{_MOMENT}$"), value)
        # In the hour that a zone skips Spark moves the clock: then the value does not say what the text says.
        shown = F.substring(value.cast("string"), 1, 16)
        same = (F.length(text) == 10) | (shown == F.translate(F.substring(text, 1, 16), "T", " "))
        local = text.rlike(f"^{_LOCAL}$") & same
        return F.when(local | text.rlike(f"^{_INSTANT}$"), value)

    # nested

    def _pair(self, text: Expression, type_: types.Type) -> Expression:
        """struct<v, ok>: what could be taken, and whether that is all there is in the text."""
        if isinstance(type_, types.Struct):
            return let(self.objects(text), lambda found: self._struct(found, type_))
        if isinstance(type_, types.Array):
            items = self._parsed(text, "array<string>")
            return let(items, lambda found: self._array(found, type_))
        if isinstance(type_, types.Map):
            return let(self.objects(text), lambda found: self._map(found, type_))
        value = let(self._unmarked(text), lambda leaf: self.scalar(leaf, type_))
        return let(value, lambda found: _named(found, text.isNull() | found.isNotNull()))

    def _struct(self, found: Expression, type_: types.Struct) -> Expression:
        texts = [found[field.name] for field in type_.fields]
        pairs = F.struct(*(self._pair(text, field.type).alias(f"p{at}") for at, (text, field) in _each(texts, type_)))
        known = total([text.isNotNull().cast("int") for text in texts])
        given = F.size(F.filter(F.map_values(found), lambda each: each.isNotNull()))
        return let(
            pairs,
            lambda pair: _named(
                F.when(
                    found.isNotNull(),
                    F.struct(*(pair[f"p{at}"]["v"].alias(field.name) for at, field in enumerate(type_.fields))),
                ),
                found.isNotNull()
                & (known == given)
                & all_of([text.isNull() | pair[f"p{at}"]["ok"] for at, text in enumerate(texts)]),
            ),
        )

    def _array(self, found: Expression, type_: types.Array) -> Expression:
        pairs = F.transform(found, lambda each: self._pair(each, type_.element))
        return let(
            pairs,
            lambda done: _named(
                F.transform(done, lambda each: each["v"]),
                found.isNotNull() & _all_complete(done, found),
            ),
        )

    def _map(self, found: Expression, type_: types.Map) -> Expression:
        if type_.key != types.STRING:  # JSON has no other keys
            return _named(F.lit(None).cast(str(type_)), F.lit(False))
        pairs = F.transform_values(found, lambda _key, each: self._pair(each, type_.value))
        keys = F.map_keys(found)
        return let(
            pairs,
            lambda done: _named(
                F.transform_values(done, lambda _key, each: each["v"]),
                found.isNotNull()
                & (F.size(F.array_distinct(keys)) == F.size(keys))
                & _all_complete(F.map_values(done), F.map_values(found)),
            ),
        )

    def _parsed(self, text: Expression, inner: str) -> Expression:
        """``from_json`` stops where the first value ends and says nothing of the rest. Inside an array whose last item
        is a word of ours, nothing can follow unnoticed."""
        tail = f',{{"{self.end}":"{self.end}"}}]' if inner.startswith("map") else f',["{self.end}"]]'
        whole = F.from_json(F.concat(F.lit("["), text, F.lit(tail)), f"array<{inner}>")
        last = (lambda items: items[1][self.end]) if inner.startswith("map") else (lambda items: F.get(items[1], 0))
        return let(
            whole, lambda items: F.when((F.size(items) == 2) & (last(items) == self.end), F.get(items, F.lit(0)))
        )


def _integer(text: Expression, name: str, strict: bool) -> Expression:
    plain = text.cast("bigint")
    value = F.when(plain.cast("string") == text, plain)
    if not strict:
        exact = text.cast("decimal(38,18)")
        whole = exact.cast("bigint")
        same = whole.cast("decimal(38,18)") == exact
        value = F.coalesce(value, F.when(text.rlike(_WHOLE_AS_FLOAT), F.when(same, whole)))
    if name == "bigint":
        return value
    return let(value, lambda wide: F.when(wide.cast(name).cast("bigint") == wide, wide.cast(name)))


def _floating(text: Expression, name: str) -> Expression:
    value = text.cast(name)
    certain = 15 if name == "double" else 6  # characters: that many digits survive in any case
    shown = value.cast("string")
    same = (shown == text) | (_digits(shown) == _digits(text))
    exact = (F.length(text) <= certain) | (same & (F.length(text) <= 40))
    vanished = (value == 0) & text.rlike("^-?[0-9.]*[1-9]")
    infinite = value.isin(float("inf"), float("-inf"))
    number = F.when(text.rlike(_NUMBER) & exact & ~infinite & ~vanished, value)
    odd = F.when(text.isin(*_NOT_FINITE), F.translate(text, '"', "").cast(name))
    return F.coalesce(number, odd)


def _digits(text: Expression) -> Expression:
    """The digits of a number from the first to the last that is not zero. Two texts that come to about the same number
    and have the same digits are the same number."""
    return F.regexp_replace(F.regexp_replace(text, r"[eE].*$|[-.]", ""), "^0+|0+$", "")


def _decimal(text: Expression, type_: types.Decimal) -> Expression:
    whole = type_.precision - type_.scale
    digits = f"(?:0|[1-9][0-9]{{0,{whole - 1}}})" if whole else "0?"
    fraction = rf"\.[0-9]{{1,{type_.scale}}}0*" if type_.scale else r"\.0+"
    plain = text.rlike(rf"^-?(?:{digits}(?:{fraction}|\.)?|{fraction})$")
    value = text.cast(str(type_))
    large = text.rlike(_LARGE) & (value.cast(_WIDE) == text.cast(_WIDE))
    small = text.rlike(_SMALL) & (value.cast("decimal(38,37)") == text.cast("decimal(38,37)"))
    return F.when(plain | large | small, value)


def _each(texts: list[Expression], type_: types.Struct) -> list[tuple[int, tuple[Expression, types.Field]]]:
    return list(enumerate(zip(texts, type_.fields, strict=True)))


def _named(value: Expression, complete: Expression) -> Expression:
    return F.struct(value.alias("v"), complete.alias("ok"))


def _all_complete(done: Expression, texts: Expression) -> Expression:
    return F.forall(F.zip_with(done, texts, lambda pair, text: text.isNull() | pair["ok"]), lambda each: each)
