"""Iceberg's snapshots as a chain of parents, walked here: Spark SQL of 3.5 cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field


class BrokenChain(LookupError):
    """A parent is no longer among the snapshots: it was expired."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    id: int
    parent_id: int | None
    batch: str | None = None
    attempt: str | None = None
    #: its summary, where that was asked for.
    summary: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class History:
    """All snapshots that the table still has, and where its branches point."""

    snapshots: Mapping[int, Snapshot] = field(default_factory=dict)
    refs: Mapping[str, int] = field(default_factory=dict)

    def known_ancestors(self, head: int | None) -> Iterator[Snapshot]:
        """``head`` first, as far as the chain goes."""
        at = head
        while at is not None and (snapshot := self.snapshots.get(at)) is not None:
            yield snapshot
            at = snapshot.parent_id

    def ancestors(self, head: int | None) -> Iterator[Snapshot]:
        """``head`` first. Raises :class:`BrokenChain` where the chain was cut before its root."""
        at = head
        for snapshot in self.known_ancestors(head):
            yield snapshot
            at = snapshot.parent_id
        if at is not None:
            raise BrokenChain(at)

    def holds(self, head: int | None, wanted: int) -> bool:
        """Whether ``wanted`` is ``head`` or one of its ancestors, as far as the chain goes."""
        return any(snapshot.id == wanted for snapshot in self.known_ancestors(head))

    def find_batch(self, head: int | None, batch_id: str) -> Snapshot | None:
        return next((snapshot for snapshot in self.ancestors(head) if snapshot.batch == batch_id), None)

    def foreign(self, head: int, base: int | None, own: Collection[int]) -> int | None:
        """The first snapshot between ``head`` and ``base`` that is not one of ``own``; ``None`` when all are.

        Raises :class:`BrokenChain` when the chain does not reach ``base``.
        """
        for snapshot in self.ancestors(head):
            if snapshot.id == base:
                return None
            if snapshot.id not in own:
                return snapshot.id
        if base is not None:
            raise BrokenChain(base)
        return None
