"""What an edit does to a document: objects merge deeply, lists and null replace. Plain values, no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: mappings whose keys are people's own: null takes an entry away, as there is no other way to say that.
FREE = (("destination", "properties"), ("format", "schema", "hints"))


def merged(old: Any, new: Any, at: tuple[str, ...] = (), *, free: tuple[tuple[str, ...], ...] = FREE) -> Any:
    """``new`` laid over ``old``; neither is changed."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    result = {**old}
    for key, value in new.items():
        if value is None and at in free:
            result.pop(key, None)
        else:
            result[key] = merged(old.get(key), value, (*at, str(key)), free=free)
    return result


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Dotted names of the fields that differ, in the order of the documents. A list is one field."""
    return list(_changed(old, new, ""))


def _changed(old: Any, new: Any, at: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _changed(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    elif old != new or type(old) is not type(new):
        yield at


def value_at(document: Any, path: str) -> Any:
    """What stands at a dotted name; ``None`` where nothing does."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document
