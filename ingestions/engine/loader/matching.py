"""Which name of a file fills which column of the table: by name only, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ingestions.engine.config import ColumnRule
from ingestions.engine.loader.base import METADATA_COLUMNS, Column
from ingestions.engine.schema import types

OURS = frozenset(name for name, _ in METADATA_COLUMNS)
#: columns that Iceberg adds to every table; a table with one of its own by that name cannot be read back.
ICEBERG = frozenset(
    [
        "_file",
        "_pos",
        "_deleted",
        "_spec_id",
        "_partition",
        "_row_id",
        "_last_updated_sequence_number",
        "_change_type",
        "_change_ordinal",
        "_commit_snapshot_id",
    ]
)


def is_reserved(name: str) -> bool:
    """Names that no column of a feed may have, a blank one among them; their values go to ``_rescued_data``."""
    return name.lower() in OURS or name.lower() in ICEBERG or not name.strip()


@dataclass(frozen=True, slots=True)
class Rules:
    """Rename, retype, drop: ``format.columns`` by the file's name."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    types: Mapping[str, types.Type] = field(default_factory=dict)  # by the table's name

    @classmethod
    def of(cls, rules: Iterable[ColumnRule]) -> Rules:
        kept = list(rules)
        renamed = {rule.from_: rule.to for rule in kept if rule.to and not rule.drop}
        retyped = {rule.to or rule.from_: types.parse(rule.type) for rule in kept if rule.type and not rule.drop}
        return cls(renamed, frozenset(rule.from_ for rule in kept if rule.drop), retyped)

    def target(self, name: str) -> str | None:
        """The table's name for a file's name; ``None`` when the column is dropped."""
        return None if name in self.dropped else self.renamed.get(name, name)

    def source(self, column: str) -> str:
        """The file's name for a column of the table."""
        for name, target in self.renamed.items():
            if target == column:
                return name
        return column


def match(names: Sequence[str], columns: Sequence[Column], rules: Rules) -> dict[int, Column]:
    """Index of the file's name → column. An exact match goes first, then one that differs in case only; no column is
    filled twice. Names that are left over and not dropped belong into ``_rescued_data``."""
    free = {column.name: column for column in columns if column.name not in OURS}
    found: dict[int, Column] = {}
    targets = [rules.target(name) for name in names]
    for at, target in enumerate(targets):
        if target in free:
            found[at] = free.pop(target)
    by_lower: dict[str, Column] = {}
    for column in free.values():
        by_lower.setdefault(column.name.lower(), column)
    for at, target in enumerate(targets):
        if at not in found and target is not None and target.lower() in by_lower:
            found[at] = by_lower.pop(target.lower())
    return dict(sorted(found.items()))


class Named(Protocol):
    @property
    def name(self) -> str: ...


def unmatched(names: Iterable[str], columns: Iterable[Named], rules: Rules) -> tuple[str, ...]:
    """The table's names that these file names ask for and the table has not, first spelling first."""
    known = {column.name.lower() for column in columns}
    fresh: dict[str, str] = {}
    for name in names:
        target = rules.target(name)
        if target and target.lower() not in known and not is_reserved(target):
            fresh.setdefault(target.lower(), target)
    return tuple(fresh.values())


def distinct(names: Sequence[str]) -> list[str]:
    """The names as keys of one JSON object: a second ``a`` becomes ``a_2``."""
    taken: set[str] = set()
    keys = []
    for name in names:
        key, number = name, 1
        while key in taken:
            number += 1
            key = f"{name}_{number}"
        taken.add(key)
        keys.append(key)
    return keys
