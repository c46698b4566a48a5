"""A header as it stands in a file, to names that a table can have."""

from __future__ import annotations

from collections.abc import Sequence

#: the columns that every table gets from us; no column of a feed takes their names.
RESERVED = frozenset({"_source_file", "_file_modified_at", "_batch_id", "_loaded_at", "_rescued_data"})


def column_names(header: Sequence[str]) -> tuple[str, ...]:
    """One name a position, unique whatever the case: trimmed, ``_c<N>`` for an empty one, ``_2``, ``_3`` … behind one
    that was there before or is ours. A name that stands in the header keeps it; invented ones give way.
    """
    trimmed = [name.strip().strip("\ufeff").strip() for name in header]
    names = _Names({name.lower() for name in trimmed if name})
    return tuple(names.take(name, f"_c{position}") for position, name in enumerate(trimmed))


class _Names:
    """Gives each name once. ``given``: names of the header in lower case, which no invented name may be."""

    def __init__(self, given: set[str]) -> None:
        self.given = given
        self.taken = set(RESERVED)
        #: where to go on: a header may hold one name a hundred thousand times.
        self.next_number: dict[str, int] = {}

    def take(self, name: str, otherwise: str) -> str:
        found = name if name and name.lower() not in self.taken else self._invented(name or otherwise)
        self.taken.add(found.lower())
        return found

    def _invented(self, wanted: str) -> str:
        number = self.next_number.get(wanted.lower(), 1)
        while True:
            candidate = wanted if number == 1 else f"{wanted}_{number}"
            number += 1
            if candidate.lower() not in self.taken and candidate.lower() not in self.given:
                self.next_number[wanted.lower()] = number
                return candidate
