"""Types that a person gives to columns and to fields inside of them: ``id: bigint``, ``items.element.price: date``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoloader.lib.errors import ConfigError
from ingestions.engine.schema.diff import ELEMENT, VALUE, Path
from ingestions.engine.schema.types import STRING, Array, Field, Map, Struct, Type

_STEP = re.compile(r"`((?:[^`]|``)+)`|([^.`]+)")


def path_of(name: str) -> Path:
    """The steps of a dotted name; one with dots of its own stands in backticks. ConfigError for what is no path."""
    steps: list[str] = []
    at = 0
    while True:
        found = _STEP.match(name, at)
        if found is None:
            break
        steps.append(found[1].replace("``", "`") if found[1] is not None else found[2])
        at = found.end()
        if at == len(name):
            return tuple(steps)
        if name[at] != ".":
            break
        at += 1
    raise ConfigError(
        "invalid_name",
        f"{name!r} leads to no field.",
        "Write column.field, with element for the items of a list and value for those of a map; a name with dots or "
        "backticks of its own stands in backticks.",
    )


def hinted(fields: Sequence[Field], hints: Mapping[str, Type], *, complete: bool) -> tuple[Field, ...]:
    """The fields with the types that were given. A column of exactly the hint's name goes before a path of dots.
    ``complete``: columns that only a hint speaks of are added."""
    found = list(fields)
    for name, type_ in hints.items():
        at = _index(found, name)
        if at is not None:
            found[at] = replace(found[at], type=type_)
            continue
        path = _path_or_name(name)
        at = _index(found, path[0])
        if at is not None:
            found[at] = replace(found[at], type=placed(found[at].type, path[1:], type_))
        elif at is None and complete:
            found.append(Field(path[0], placed(None, path[1:], type_)))
    return tuple(found)


def _path_or_name(name: str) -> Path:
    """What is no path is a name: columns may be called anything."""
    try:
        return path_of(name)
    except ConfigError:
        return (name,)


def _index(fields: Sequence[Field], name: str) -> int | None:
    names = [field.name for field in fields]
    if name in names:
        return names.index(name)
    lower = [each.lower() for each in names]
    return lower.index(name.lower()) if name.lower() in lower else None


def placed(type_: Type | None, path: Path, leaf: Type) -> Type:
    """The type with ``leaf`` at the end of the path. What has no such place, as the files seen so far did not show it,
    gets one."""
    if not path:
        return leaf
    step, rest = path[0], path[1:]
    if isinstance(type_, Map) and step == VALUE:
        return Map(type_.key, placed(type_.value, rest, leaf))
    if step == ELEMENT and not isinstance(type_, Struct):
        return Array(placed(type_.element if isinstance(type_, Array) else None, rest, leaf))
    if step == VALUE and not isinstance(type_, Struct):
        return Map(STRING, placed(None, rest, leaf))
    fields = list(type_.fields) if isinstance(type_, Struct) else []
    at = _index(fields, step)
    if at is None:
        fields.append(Field(step, placed(None, rest, leaf)))
    else:
        fields[at] = replace(fields[at], type=placed(fields[at].type, rest, leaf))
    return Struct(tuple(fields))


def in_order(fields: Sequence[Field], names: Sequence[str]) -> tuple[Field, ...]:
    """The named ones first, in that order; the others behind them as they were."""
    left = list(fields)
    first = []
    for name in names:
        at = _index(left, name)
        if at is not None:
            first.append(left.pop(at))
    return (*first, *left)
