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
    given = {name.lower() for name in trimmed if name}
    taken = set(RESERVED)
    names = []
    for position, name in enumerate(trimmed):
        wanted = name or f"_c{position}"
        first = bool(name) and wanted.lower() not in taken
        names.append(wanted if first else _free(wanted, taken | given))
        taken.add(names[-1].lower())
    return tuple(names)


def _free(wanted: str, taken: set[str]) -> str:
    if wanted.lower() not in taken:
        return wanted
    number = 2
    while f"{wanted}_{number}".lower() in taken:
        number += 1
    return f"{wanted}_{number}"
