"""Long lists, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

#: rows that one statement names, and one transaction changes: SQLite lets nobody else write meanwhile.
CHUNK = 5000


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """``items`` in their order, ``size`` at a time; nothing for none."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
