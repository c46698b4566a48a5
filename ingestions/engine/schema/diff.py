"""What the files' columns are against the table's: a row per field, nested ones too. Plain values, no Spark needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ingestions.engine.schema.types import (
    INTEGER_DIGITS,
    MAX_DEPTH,
    MAX_PRECISION,
    Array,
    Atomic,
    Decimal,
    Field,
    Map,
    Struct,
    Type,
    parse,
    quoted,
    shallow,
    storable,
    widens,
)

#: steps of a path that are no field's name, as ``ALTER TABLE`` writes them.
ELEMENT, VALUE = "element", "value"
Path = tuple[str, ...]


class Kind(StrEnum):
    """How a field of the files differs from the table's."""

    ADDED = "added"  # the table has it not
    WIDENED = "widened"  # the table's type can be changed to one that takes the files' values too
    CLASH = "clash"  # it cannot: values that do not fit are rescued
    REMOVED = "removed"  # the files have it not: null
    CASE = "case"  # the names differ in upper and lower case only: one column


@dataclass(frozen=True, slots=True)
class Change:
    """``path``: the column, and the fields below it. ``was``: the table's type, ``None`` where there is no such field;
    ``type``: the one it would get, ``None`` where the files do not say."""

    kind: Kind
    path: Path
    was: Type | None = None
    type: Type | None = None

    @property
    def key(self) -> Path:
        """Equal for changes of one field, however its name is written."""
        return tuple(part.lower() for part in self.path)

    @property
    def name(self) -> str:
        return dotted(self.path)

    def __str__(self) -> str:
        if self.kind is Kind.WIDENED:
            return f"{self.name} {self.was} → {self.type}"
        return f"{self.name} {self.type}" if self.type is not None else self.name

    def to_json(self) -> dict[str, Any]:
        return {
            "path": list(self.path),
            "kind": str(self.kind),
            "was": str(self.was) if self.was is not None else None,
            "type": str(self.type) if self.type is not None else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Change:
        was, type_ = value["was"], value["type"]
        return cls(
            Kind(value["kind"]),
            tuple(value["path"]),
            parse(was) if was is not None else None,
            parse(type_) if type_ is not None else None,
        )


def dotted(path: Path) -> str:
    """``items.element.price``; a name that is not plain stands in backticks."""
    return ".".join(quoted(part) for part in path)


def diff(table: Sequence[Field], seen: Sequence[Field], levels: int | None = MAX_DEPTH) -> tuple[Change, ...]:
    """The differences, in the order of ``seen``, then what the files have not, in the table's. Fields that are added
    below others are cut at so many ``levels`` (text can be made into no more); ``None``: files with types of their own.
    """
    cut = (lambda type_, above: type_) if levels is None else _cut(levels)
    return tuple(_fields((), table, seen, cut))


Cut = Callable[[Type, int], Type]


def _cut(levels: int) -> Cut:
    """The type that a new field gets with so many fields ``above`` it."""
    return lambda type_, above: shallow(type_, levels - above) if above else type_


def _fields(path: Path, table: Sequence[Field], seen: Sequence[Field], cut: Cut) -> Iterator[Change]:
    exact = {field.name: field for field in table}
    loose: dict[str, Field] = {}
    for field in table:
        loose.setdefault(field.name.lower(), field)
    added: set[str] = set()
    for field in seen:
        known = exact.get(field.name) or loose.get(field.name.lower())
        if known is None:
            if field.name.lower() not in added:
                added.add(field.name.lower())
                yield Change(Kind.ADDED, (*path, field.name), None, storable(cut(field.type, len(path))))
            continue
        if known.name != field.name:
            yield Change(Kind.CASE, (*path, known.name), known.type, known.type)
        yield from _types((*path, known.name), known.type, field.type, cut)
    names = {field.name.lower() for field in seen}
    for field in table:
        if field.name.lower() not in names:
            yield Change(Kind.REMOVED, (*path, field.name), field.type)


def _types(path: Path, table: Type, seen: Type, cut: Cut) -> Iterator[Change]:
    if isinstance(table, Struct) and isinstance(seen, Struct):
        yield from _fields(path, table.fields, seen.fields, cut)
    elif isinstance(table, Array) and isinstance(seen, Array):
        yield from _types((*path, ELEMENT), table.element, seen.element, cut)
    elif isinstance(table, Map) and isinstance(seen, Map) and table.key == seen.key:
        yield from _types((*path, VALUE), table.value, seen.value, cut)
    elif not widens(seen, table):
        wider = promotion(table, seen)
        yield Change(Kind.CLASH if wider is None else Kind.WIDENED, path, table, wider or seen)


def promotion(table: Type, seen: Type) -> Type | None:
    """The type that a column of an Iceberg table can be changed to so that it takes values of ``seen`` too; ``None``
    where there is none. Legal are ``int`` → ``bigint``, ``float`` → ``double``, and a decimal with more digits before
    the point."""
    if isinstance(table, Decimal):
        return _more_digits(table, seen)
    if table == Atomic("int"):
        wider = Atomic("bigint")
    elif table == Atomic("float"):
        wider = Atomic("double")
    else:
        return None
    return wider if widens(seen, wider) else None


def _more_digits(table: Decimal, seen: Type) -> Decimal | None:
    if isinstance(seen, Decimal):
        whole, scale = seen.precision - seen.scale, seen.scale
    elif isinstance(seen, Atomic) and seen.name in INTEGER_DIGITS:
        whole, scale = INTEGER_DIGITS[seen.name], 0
    else:
        return None
    precision = whole + table.scale
    return Decimal(precision, table.scale) if scale <= table.scale and precision <= MAX_PRECISION else None


def promotable(type_: Type) -> bool:
    """Whether a column of this type could ever be widened."""
    return type_ in (Atomic("int"), Atomic("float")) or (isinstance(type_, Decimal) and type_.precision < MAX_PRECISION)


def can_grow(type_: Type) -> bool:
    """Whether fields can be added somewhere inside."""
    if isinstance(type_, Array):
        return can_grow(type_.element)
    return can_grow(type_.value) if isinstance(type_, Map) else isinstance(type_, Struct)


def field_at(fields: Sequence[Field], path: Path) -> Field | None:
    """The field that a path leads to, case aside where no name is exactly that."""
    found = next((each for each in fields if each.name == path[0]), None) or next(
        (each for each in fields if each.name.lower() == path[0].lower()), None
    )
    if found is None or len(path) == 1:
        return found
    inner = found.type
    if isinstance(inner, Struct):
        return field_at(inner.fields, path[1:])
    if isinstance(inner, Array):
        return field_at((Field(ELEMENT, inner.element),), path[1:])
    return field_at((Field(VALUE, inner.value),), path[1:]) if isinstance(inner, Map) else None


def still_open(change: Change, table: Sequence[Field]) -> bool:
    """Whether the table needs this change yet: one that was made before a crash is not made again."""
    there = field_at(table, change.path)
    if change.kind is Kind.ADDED:
        above = change.path[:-1]
        return there is None and (not above or field_at(table, above) is not None)
    if change.kind is Kind.WIDENED and there is not None and change.type is not None:
        return there.type != change.type and promotion(there.type, change.type) == change.type
    return False
