"""Column types as Spark's DDL writes them: parse, print, widen. Plain values, no Spark needed.

``str(type)`` is the normal form: lower case, Spark's long names (``bigint``, not ``long``), field names quoted where
they have to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoloader.lib.errors import ConfigError

_SYNONYMS = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "timestamp_ltz": "timestamp",
    "varchar": "string",
    "char": "string",
}
_ATOMIC = frozenset(
    [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "string",
        "binary",
        "date",
        "timestamp",
        "timestamp_ntz",
    ]
)
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}
MAX_PRECISION = 38


@dataclass(frozen=True, slots=True)
class Atomic:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True, slots=True)
class Array:
    element: Type

    def __str__(self) -> str:
        return f"array<{self.element}>"


@dataclass(frozen=True, slots=True)
class Map:
    key: Type
    value: Type

    def __str__(self) -> str:
        return f"map<{self.key},{self.value}>"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type

    def __str__(self) -> str:
        return f"{quoted(self.name)}:{self.type}"


@dataclass(frozen=True, slots=True)
class Struct:
    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return f"struct<{','.join(map(str, self.fields))}>"


Type = Atomic | Decimal | Array | Map | Struct

STRING = Atomic("string")
BIGINT = Atomic("bigint")
DOUBLE = Atomic("double")
BOOLEAN = Atomic("boolean")
DATE = Atomic("date")
TIMESTAMP = Atomic("timestamp")


def quoted(name: str) -> str:
    """A field's name as DDL needs it: bare where that is safe, else in backticks."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else "`" + name.replace("`", "``") + "`"


def is_nested(type_: Type) -> bool:
    return isinstance(type_, Array | Map | Struct)


#: levels of nesting that a conversion from text can have; its expression would exceed what protobuf's client decodes.
MAX_DEPTH = 3


def _inner(type_: Type) -> list[Type]:
    if isinstance(type_, Struct):
        return [field.type for field in type_.fields]
    if isinstance(type_, Map):
        return [type_.value]
    return [type_.element] if isinstance(type_, Array) else []


def depth(type_: Type) -> int:
    """Levels of nesting: 0 for ``bigint``, 2 for ``array<struct<a:int>>``."""
    return 1 + max((depth(each) for each in _inner(type_)), default=0) if is_nested(type_) else 0


def shallow(type_: Type, levels: int = MAX_DEPTH) -> Type:
    """The type with everything below so many levels as text (JSON stays as it was written): nothing is lost by it."""
    if not is_nested(type_):
        return type_
    if levels == 0:
        return STRING
    if isinstance(type_, Struct):
        return Struct(tuple(Field(field.name, shallow(field.type, levels - 1)) for field in type_.fields))
    if isinstance(type_, Map):
        return Map(type_.key, shallow(type_.value, levels - 1))
    assert isinstance(type_, Array)
    return Array(shallow(type_.element, levels - 1))


def parse(text: str) -> Type:
    """One type. Raises :class:`ConfigError` (``bad_type``) for what is none, or none that Iceberg can hold."""
    parser = _Parser(text)
    type_ = parser.type()
    parser.end()
    return type_


def parse_columns(value: str | Mapping[str, Any]) -> tuple[Field, ...]:
    """Columns from DDL text (``id bigint, name string``), or from a Spark StructType as JSON (object or text)."""
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return _Parser(value).columns()
        import json

        try:
            value = json.loads(value)
        except ValueError as error:
            raise _bad(str(value)[:80], f"it is not valid JSON ({error})") from None
    type_ = from_json(value)
    if not isinstance(type_, Struct):
        raise _bad(str(value)[:80], "a struct is expected")
    return type_.fields


def from_json(value: Any) -> Type:
    """A type from Spark's JSON form (``df.schema.jsonValue()`` and its parts)."""
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, Mapping):
        match value.get("type"):
            case "struct":
                return Struct(tuple(Field(str(each["name"]), from_json(each["type"])) for each in value["fields"]))
            case "array":
                return Array(from_json(value["elementType"]))
            case "map":
                return Map(from_json(value["keyType"]), from_json(value["valueType"]))
    raise _bad(str(value)[:80], "it is not Spark's JSON form of a type")


def storable(type_: Type) -> Type:
    """The type an Iceberg table gets: what a file format cannot hold (a struct without fields, fields that differ by
    case only) becomes text or is left out, small integers become ``int``."""
    if isinstance(type_, Atomic):
        return Atomic("int") if type_.name in ("tinyint", "smallint") else type_
    if isinstance(type_, Array):
        return Array(storable(type_.element))
    if isinstance(type_, Map):
        return Map(storable(type_.key), storable(type_.value))
    if isinstance(type_, Struct):
        fields: dict[str, Field] = {}
        for each in type_.fields:
            fields.setdefault(each.name.lower(), Field(each.name, storable(each.type)))
        return Struct(tuple(fields.values())) if fields else STRING
    return type_


def widens(old: Type, new: Type) -> bool:
    """Whether every value of ``old`` is, unchanged, a value of ``new``, so that a plain cast loses nothing."""
    if old == new:
        return True
    if isinstance(old, Atomic) and isinstance(new, Atomic):
        if old.name in _INTEGERS and new.name in _INTEGERS:
            return _INTEGERS.index(old.name) <= _INTEGERS.index(new.name)
        if new.name == "double":
            return old.name in ("tinyint", "smallint", "int", "float")
        return new.name == "float" and old.name in ("tinyint", "smallint")
    if isinstance(new, Decimal):
        if isinstance(old, Decimal):
            return new.scale >= old.scale and new.precision - new.scale >= old.precision - old.scale
        if isinstance(old, Atomic) and old.name in _INTEGERS:
            return new.precision - new.scale >= INTEGER_DIGITS[old.name]
    return False


def promote(one: Type, other: Type) -> Type:
    """The narrowest type for a column that is ``one`` in some files and ``other`` in others; ``string`` at worst.

    Where values may not fit exactly (``bigint`` into ``double``) the loader's per-value check decides.
    """
    if widens(one, other):
        return other
    if widens(other, one):
        return one
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(promote(one.element, other.element))
    if isinstance(one, Map) and isinstance(other, Map):
        return Map(promote(one.key, other.key), promote(one.value, other.value))
    if isinstance(one, Struct) and isinstance(other, Struct):
        return _merged(one, other)
    names = {str(one), str(other)}
    if names <= {*_INTEGERS, "float", "double"}:
        return DOUBLE
    if names == {"date", "timestamp"}:
        return TIMESTAMP
    decimals = [_as_decimal(each) for each in (one, other)]
    if all(decimals):
        scale = max(each.scale for each in decimals if each)
        whole = max(each.precision - each.scale for each in decimals if each)
        if whole + scale <= MAX_PRECISION:
            return Decimal(whole + scale, scale)
    return STRING


def _as_decimal(type_: Type) -> Decimal | None:
    if isinstance(type_, Decimal):
        return type_
    if isinstance(type_, Atomic) and type_.name in _INTEGERS:
        return Decimal(INTEGER_DIGITS[type_.name], 0)
    return None


def _merged(one: Struct, other: Struct) -> Struct:
    fields = {each.name: each for each in one.fields}
    for each in other.fields:
        known = fields.get(each.name)
        fields[each.name] = Field(each.name, promote(known.type, each.type)) if known else each
    return Struct(tuple(fields.values()))


def _bad(text: str, why: str) -> ConfigError:
    return ConfigError(
        "bad_type",
        f"“{text}” is not a column type: {why}.",
        "Write a Spark SQL type, for example bigint, decimal(12,2), timestamp or array<string>.",
    )


_TOKEN = re.compile(r"\s*(?:(`(?:[^`]|``)+`)|(\w+)|([<>(),:])|(\S))", re.UNICODE)


class _Parser:
    """Recursive descent over Spark's DDL. Field names may be any word or anything in backticks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        for quoted_, word, mark, odd in _TOKEN.findall(text.rstrip()):
            if odd:
                raise _bad(text, f"“{odd}” does not belong there")
            self.tokens.append(quoted_ or word or mark)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise _bad(self.text, "it ends too early")
        self.at += 1
        return token

    def expect(self, mark: str) -> None:
        if self.next() != mark:
            raise _bad(self.text, f"“{mark}” is missing")

    def end(self) -> None:
        if self.peek():
            raise _bad(self.text, f"“{self.peek()}” follows after its end")

    def type(self) -> Type:
        word = self.next().lower()
        word = _SYNONYMS.get(word, word)
        if word in ("decimal", "dec", "numeric"):
            return self._decimal()
        if word == "array":
            self.expect("<")
            element = self.type()
            self.expect(">")
            return Array(element)
        if word == "map":
            self.expect("<")
            key = self.type()
            self.expect(",")
            value = self.type()
            self.expect(">")
            return Map(key, value)
        if word == "struct":
            return self._struct()
        if word not in _ATOMIC:
            raise _bad(self.text, f"there is no type “{word}” in an Iceberg table")
        if word == "string" and self.peek() == "(":  # varchar(20): the length is no part of an Iceberg type
            self._numbers()
        return Atomic(word)

    def columns(self) -> tuple[Field, ...]:
        fields = self._fields("")
        self.end()
        if not fields:
            raise _bad(self.text, "it names no column")
        return fields

    def _decimal(self) -> Decimal:
        if self.peek() != "(":
            return Decimal(10, 0)
        numbers = self._numbers()
        precision, scale = numbers[0], numbers[1] if len(numbers) > 1 else 0
        if not (1 <= precision <= MAX_PRECISION and 0 <= scale <= precision):
            raise _bad(self.text, f"a decimal has 1 to {MAX_PRECISION} digits, at most all of them after the point")
        return Decimal(precision, scale)

    def _numbers(self) -> list[int]:
        self.expect("(")
        numbers = []
        while True:
            token = self.next()
            if not token.isdecimal():
                raise _bad(self.text, f"“{token}” is not a number")
            numbers.append(int(token))
            if self.peek() != ",":
                break
            self.next()
        self.expect(")")
        return numbers

    def _struct(self) -> Struct:
        self.expect("<")
        fields = self._fields(">")
        self.expect(">")
        return Struct(fields)

    def _fields(self, end: str) -> tuple[Field, ...]:
        fields: list[Field] = []
        while self.peek() != end:
            if fields:
                self.expect(",")
            name = self.next()
            if name in "<>(),:":
                raise _bad(self.text, "a name is missing")
            if self.peek() == ":":
                self.next()
            fields.append(Field(_unquoted(name), self.type()))
            while self.peek().lower() in ("not", "null"):
                self.next()
        return tuple(fields)


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
