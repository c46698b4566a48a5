"""A ledger in memory, and a worker's side of it, with the semantics of the one in the database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from autoloader.lib.errors import AutoloaderError, LeaseLost
from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.ledger import (
    Asked,
    AttemptState,
    BatchOutcome,
    BatchState,
    Earlier,
    Entry,
    Known,
    ListingEnd,
    NewEntry,
    NewSchema,
    Revision,
    Separated,
    State,
    Twin,
    Waiting,
    check_transition,
)
from ingestions.engine.schema.policy import Decisions
from ingestions.engine.sources.base import RemoteFile


@dataclass
class Row:
    """A ledger row of :class:`MemoryStore`."""

    id: int
    file: RemoteFile
    state: State
    shape: Shape | None = None
    batch: str = ""
    rows: int | None = None
    reason: str = ""  # the first words of what a listing said of it
    cause: str = ""
    since: datetime | None = None


@dataclass
class Ledger:
    """What all workers of one ingestion share."""

    rows: dict[int, Row] = field(default_factory=dict)
    batches: dict[str, BatchState] = field(default_factory=dict)
    outcomes: dict[str, BatchOutcome | None] = field(default_factory=dict)
    attempts: dict[str, list[AttemptState]] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    holder: int = 0
    discovered: bool = False
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    errors: list[AutoloaderError] = field(default_factory=list)
    cancel: bool = False
    schemas: int = 0
    memory: Mapping[str, Any] | None = None
    ends: list[ListingEnd] = field(default_factory=list)


class MemoryStore:
    """A worker's side of :class:`Ledger`. ``holder`` is its lease: another store made later fences it out."""

    def __init__(
        self, ledger: Ledger, trip: Callable[[str], None], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.ledger = ledger
        ledger.holder += 1
        self.holder = ledger.holder
        self._trip = trip
        self.now = now

    def _write(self, step: str) -> None:
        self._trip(f"before {step}")
        if self.ledger.holder != self.holder:
            raise LeaseLost("lease_lost", "Another worker holds the run.")

    def _move(self, row: Row, state: State) -> None:
        check_transition(row.state, state)
        row.state = state

    def fence(self) -> None:
        self._write("fence")

    def cancel_requested(self) -> bool:
        return self.ledger.cancel

    def discovery_done(self) -> bool:
        return self.ledger.discovered

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        found: dict[str, list[Known]] = {}
        for row in self.ledger.rows.values():
            if row.file.address in addresses:
                known = Known(row.file.address, row.file.version, row.state, row.id, row.cause, row.since)
                found.setdefault(row.file.address, []).append(known)
        return found

    def record(self, entries: Sequence[NewEntry]) -> int:
        self._write("record")
        there = {(row.file.address, row.file.version) for row in self.ledger.rows.values()}
        new = [entry for entry in entries if (entry.file.address, entry.file.version) not in there]
        addresses = {entry.file.address for entry in new}
        for row in self.ledger.rows.values():
            if row.state == State.DISCOVERED and row.file.address in addresses:
                self._move(row, State.SKIPPED)
        for entry in new:
            reason = entry.reason.partition(":")[0]
            row = Row(next(self.ledger.ids), entry.file, entry.state, reason=reason, cause=entry.cause)
            row.since = self.now()
            self.ledger.rows[row.id] = row
        return len(new)

    def revise(self, revisions: Sequence[Revision]) -> int:
        self._write("revise")
        for each in revisions:
            row = self.ledger.rows[each.id]
            assert row.state is State.SKIPPED
            row.file, row.cause, row.since = each.file, each.cause, self.now()
            row.reason = each.reason.partition(":")[0]
            if each.state is not row.state:
                self._move(row, each.state)
        return sum(each.state is State.DISCOVERED for each in revisions)

    def listing_memory(self) -> Mapping[str, Any] | None:
        return self.ledger.memory

    def finish_discovery(self, *, listed: int, hint: str = "", end: ListingEnd | None = None) -> None:
        self._write("discovered")
        self.ledger.discovered = True
        if end is not None:
            self.ledger.memory = end.memory
            self.ledger.ends.append(end)

    def pending(self, limit: int, after_id: int = 0) -> Sequence[Entry]:
        waiting = [r for r in self.ledger.rows.values() if r.state == State.DISCOVERED and r.id > after_id]
        return [Entry(row.id, row.file, row.state, row.shape) for row in waiting[:limit]]

    def waiting(self, limit: int) -> Waiting | None:
        rows = [row for row in self.ledger.rows.values() if row.state == State.DISCOVERED]
        return Waiting(len(rows), sum(row.file.size_bytes for row in rows)) if len(rows) <= limit else None

    def set_shapes(self, shapes: Mapping[int, Shape]) -> None:
        self._write("shapes")
        for id_, shape in shapes.items():
            self.ledger.rows[id_].shape = shape

    def set_aside(self, entry_id: int, state: State, error: AutoloaderError) -> None:
        self._write("set aside")
        self._move(self.ledger.rows[entry_id], state)
        self.ledger.rows[entry_id].batch = ""
        self.ledger.errors.append(error)

    def open_batch(self) -> BatchState | None:
        for id_, batch in self.ledger.batches.items():
            if id_ not in self.ledger.outcomes:
                rows = [r for r in self.ledger.rows.values() if r.batch == id_ and r.state == State.CLAIMED]
                entries = tuple(Entry(row.id, row.file, row.state, row.shape) for row in rows)
                return replace(batch, entries=entries, attempts=tuple(self.ledger.attempts[id_]))
        return None

    def begin_batch(self, entries: Sequence[Entry]) -> BatchState:
        self._write("begin batch")
        batch = BatchState(f"b{len(self.ledger.batches) + 1}", len(self.ledger.batches) + 1, tuple(entries))
        for entry in entries:
            row = self.ledger.rows[entry.id]
            self._move(row, State.CLAIMED)
            row.batch = batch.id
        self.ledger.batches[batch.id] = batch
        self.ledger.attempts[batch.id] = []
        return replace(batch, new=True)

    def release(self, batch: BatchState, entry_ids: Sequence[int]) -> None:
        self._write("release")
        for id_ in entry_ids:
            self._move(self.ledger.rows[id_], State.DISCOVERED)
            self.ledger.rows[id_].batch = ""
        if not any(r.batch == batch.id and r.state == State.CLAIMED for r in self.ledger.rows.values()):
            self.ledger.outcomes[batch.id] = None

    def begin_attempt(self, batch: BatchState, *, session_id: str) -> AttemptState:
        self._write("begin attempt")
        number = len(self.ledger.attempts[batch.id]) + 1
        branch = f"{batch.id}_{number}"
        attempt = AttemptState(number, branch, None, session_id, branch, True)
        self.ledger.attempts[batch.id].append(attempt)
        return attempt

    def _change(self, batch: BatchState, branch: str, **changes: Any) -> None:
        attempts = self.ledger.attempts[batch.id]
        self.ledger.attempts[batch.id] = [replace(a, **changes) if a.branch == branch else a for a in attempts]

    def attempt_based(self, batch: BatchState, attempt: AttemptState, base_snapshot_id: int | None) -> None:
        self._write("based")
        self._change(batch, attempt.branch, base_snapshot_id=base_snapshot_id)

    def end_attempt(self, batch: BatchState, attempt: AttemptState, outcome: str) -> None:
        self._write("end attempt")
        self._change(batch, attempt.branch, open=False)

    def batch_loaded(self, batch: BatchState, attempt: AttemptState | None, outcome: BatchOutcome) -> None:
        self._write("batch loaded")
        if batch.id in self.ledger.outcomes:
            return
        for file in outcome.files:
            row = self.ledger.rows[file.entry_id]
            self._move(row, State.LOADED)
            row.rows = file.rows
        self.ledger.outcomes[batch.id] = outcome
        if attempt is not None:
            self._change(batch, attempt.branch, open=False)
        self._trip("after batch loaded")

    def stale_branches(self) -> Sequence[str]:
        attempts = [a for attempts in self.ledger.attempts.values() for a in attempts]
        return [a.branch for a in attempts if not a.open and a.branch not in self.ledger.swept]

    def branch_swept(self, branch: str) -> None:
        self.ledger.swept.add(branch)

    def schema_changed(self, change: NewSchema) -> None:
        self._write("schema changed")
        self.ledger.schemas += 1

    def schema_known(self) -> bool:
        return self.ledger.schemas > 0

    def earlier(self, entries: Sequence[Entry]) -> Sequence[Earlier]:
        return []

    def twins(self, entries: Sequence[Entry]) -> Sequence[Twin]:
        return []

    def set_checksums(self, checksums: Mapping[int, str]) -> None:
        self._write("checksums")

    def duplicate(self, entry_id: int, original: Twin) -> None:
        self._write("duplicate")

    def separate(self, batch: BatchState, rows: Sequence[Separated]) -> None:
        self._write("separate")

    def stale_quarantine(self) -> Sequence[str]:
        return []

    def quarantine_swept(self, batch_id: str) -> None:
        pass

    def decisions(self) -> Decisions:
        return Decisions()

    def ask(self, batch: BatchState, asked: Sequence[Asked]) -> None:
        self._write("ask")
        for each in asked:
            for id_ in each.entry_ids:
                self._move(self.ledger.rows[id_], State.DISCOVERED)
                self.ledger.rows[id_].batch = ""

    def withdraw_questions(self) -> None:
        pass

    def unreadable(self) -> Sequence[str]:
        return [row.file.address for row in self.ledger.rows.values() if row.state == State.FAILED]

    def table_missing(self) -> None:
        self._write("table missing")

    def table_created(self) -> None:
        self._write("table created")

    def phase(self, name: str) -> None:
        self._write("phase")

    def listing(self, seen: int) -> None:
        self._write("listing")


def csv_shape(*names: str) -> Shape:
    options = (("delimiter", ","), ("header", "true"), ("multiline", "true"))
    return Shape("csv", tuple(ShapeColumn(name) for name in names), options)
