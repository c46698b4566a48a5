"""A source, a table with branches and a ledger in memory, with the semantics that were measured on Iceberg and Spark.

``Table`` keeps snapshots with parents and refs; publishing is a compare-and-swap; an append that was under way when its
client died may still be committed later, and re-creates a branch that was dropped meanwhile, on whatever main is then.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from autoloader.lib.errors import AutoloaderError, FileError, LeaseLost, TransientError
from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.ledger import (
    Asked,
    AttemptState,
    BatchOutcome,
    BatchState,
    Entry,
    Known,
    NewEntry,
    NewSchema,
    State,
    Waiting,
    check_transition,
)
from ingestions.engine.loader.base import (
    METADATA_COLUMNS,
    Audit,
    Column,
    FileCount,
    Found,
    LostRace,
    Staged,
    TableState,
    Trial,
)
from ingestions.engine.schema.diff import Change, Kind
from ingestions.engine.schema.policy import Decisions, Finding, Policy
from ingestions.engine.sources.base import RemoteFile, SparkAccess

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The worker died here: nothing of it runs any more."""


@dataclass
class MemorySource:
    """CSV files by address; one line a row after the header."""

    files: dict[str, bytes] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)

    def put(self, address: str, content: bytes) -> None:
        self.files[address] = content
        self.versions[address] += 1

    def _file(self, address: str) -> RemoteFile:
        return RemoteFile(address, f"v{self.versions[address]}", len(self.files[address]), T0)

    def list(self, start_after: str | None = None) -> Iterator[RemoteFile]:
        return (self._file(address) for address in sorted(self.files) if not start_after or address > start_after)

    def stat(self, address: str) -> RemoteFile | None:
        return self._file(address) if address in self.files else None

    def read_range(self, address: str, start: int, length: int) -> bytes:
        if address not in self.files:
            raise FileError("file_gone", f"{address} is gone.", path=address)
        return self.files[address][start : start + length] if start >= 0 else self.files[address][start:]

    def weigh(self, folder: str, limit: int) -> int | None:
        return None

    def spark_access(self) -> SparkAccess:
        return SparkAccess("memory", "memory")

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Snapshot:
    id: int
    parent: int | None
    batch: str
    attempt: str
    rows: Mapping[str, int]


@dataclass
class Table:
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    refs: dict[str, int | None] = field(default_factory=lambda: {"main": None})
    columns: list[Column] | None = None
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def ancestors(self, ref: str) -> Iterator[Snapshot]:
        at = self.refs.get(ref)
        while at is not None:
            yield self.snapshots[at]
            at = self.snapshots[at].parent

    def append(self, branch: str, batch: str, attempt: str, rows: Mapping[str, int]) -> int:
        parent = self.refs[branch] if branch in self.refs else self.refs["main"]
        snapshot = Snapshot(next(self.ids), parent, batch, attempt, dict(rows))
        self.snapshots[snapshot.id] = snapshot
        self.refs[branch] = snapshot.id
        return snapshot.id

    def fast_forward(self, branch: str) -> None:
        if branch not in self.refs:
            raise LostRace("branch_gone", f"The branch {branch} is not there any more.")
        main = self.refs["main"]
        if main is not None and main not in {snapshot.id for snapshot in self.ancestors(branch)}:
            raise LostRace("lost_race", f"main is not an ancestor of {branch}.")
        self.refs["main"] = self.refs[branch]

    def rows(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for snapshot in self.ancestors("main"):
            total.update(snapshot.rows)
        return total


class MemoryLoader:
    """``trip`` is called with the name of each step before and after it; it may raise :class:`Crash`.

    What a dying client leaves under way is put into ``late``: it may be run at any time afterwards.
    """

    session_id = "memory"

    def __init__(
        self, table: Table, source: MemorySource, trip: Callable[[str], None], late: list[Callable[[], None]]
    ) -> None:
        self.table = table
        self.source = source
        self.trip = trip
        self.late = late

    def state(self, *, counted: bool = True) -> TableState | None:
        if self.table.columns is None:
            return None
        ours = tuple(Column(name, type_) for name, type_ in METADATA_COLUMNS)
        return TableState((*self.table.columns, *ours), self.table.refs["main"])

    def _names(self, entries: Sequence[Entry]) -> list[str]:
        shapes = [entry.shape for entry in entries if entry.shape]
        return list(dict.fromkeys(column.name for shape in shapes for column in shape.columns))

    def infer(self, entries: Sequence[Entry], only: Sequence[str] | None = None) -> tuple[Column, ...]:
        self.trip("infer")
        return tuple(Column(name, "string") for name in self._names(entries) if only is None or name in only)

    def create(self, columns: Sequence[Column]) -> tuple[str, ...]:
        self.trip("before create")
        if self.table.columns is None:
            self.table.columns = list(columns)
        self.trip("after create")
        return ("CREATE TABLE",)

    def add_columns(self, columns: Sequence[Column]) -> tuple[str, ...]:
        self.trip("before alter")
        assert self.table.columns is not None
        there = {column.name for column in self.table.columns}
        self.table.columns += [column for column in columns if column.name not in there]
        self.trip("after alter")
        return ("ALTER TABLE",)

    def headers(self, entries: Sequence[Entry], table: TableState) -> tuple[Finding, ...]:
        there = {column.name for column in table.columns}
        return tuple(
            Finding(Change(Kind.ADDED, (column.name,)), (entry.file.address,))
            for entry in entries
            for column in (entry.shape.columns if entry.shape else ())
            if column.name not in there
        )

    def alter(self, changes: Sequence[Change]) -> tuple[str, ...]:
        return self.add_columns([Column(change.path[0], str(change.type)) for change in changes])

    def altering(self, changes: Sequence[Change], table: TableState) -> tuple[str, ...]:
        return ("ALTER TABLE",)

    def follow(self, policy: Policy) -> None:
        pass

    def dropped(self, entries: Sequence[Entry]) -> Mapping[tuple[str, str], int]:
        return {}

    def open_branch(self, branch: str) -> int | None:
        self.trip("before branch")
        self.table.refs[branch] = self.table.refs["main"]
        self.trip("after branch")
        return self.table.refs["main"]

    def find_batch(self, branch: str, batch_id: str) -> Found | None:
        self.trip("find")
        return next((Found(s.id) for s in self.table.ancestors(branch) if s.batch == batch_id), None)

    def stage(self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState) -> Staged:
        rows = {e.file.address: n for e in entries if (n := self._count(e))}
        self.trip("before stage")
        if not rows:
            return Staged(None)
        staged: list[int] = []

        def commit() -> None:
            staged.append(self.table.append(attempt.branch, batch_id, attempt.branch, rows))

        self._answer("stage", commit)
        return Staged(staged[0], added_records=sum(rows.values()))

    def _count(self, entry: Entry) -> int:
        return max(0, len(self.source.files[entry.file.address].splitlines()) - 1)

    def _answer(self, step: str, commit: Callable[[], None]) -> None:
        """A commit whose client may die while it is under way (it happens later) or before it hears of it."""
        try:
            self.trip(f"during {step}")
        except Crash:
            self.late.append(commit)
            raise
        commit()
        self.trip(f"after {step}")

    def audit(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Audit:
        self.trip("audit")
        assert staged.snapshot_id is not None
        rows = self.table.snapshots[staged.snapshot_id].rows
        return Audit({address: FileCount(count, 0) for address, count in rows.items()})

    def publish(self, attempt: AttemptState, staged: Staged) -> None:
        own = list(
            itertools.takewhile(lambda s: s.id != attempt.base_snapshot_id, self.table.ancestors(attempt.branch))
        )
        if any(snapshot.attempt != attempt.branch for snapshot in own):
            raise LostRace("foreign_chain", "The branch holds snapshots of others.")
        self._answer("publish", lambda: self.table.fast_forward(attempt.branch))

    def batch_counts(self, batch_id: str) -> Mapping[str, FileCount]:
        counts: Counter[str] = Counter()
        for snapshot in self.table.ancestors("main"):
            if snapshot.batch == batch_id:
                counts.update(snapshot.rows)
        return {address: FileCount(count, 0) for address, count in counts.items()}

    def table_counts(self) -> Mapping[str, FileCount]:
        return {address: FileCount(count, 0) for address, count in self.table.rows().items()}

    def rows_by_batch_and_file(self) -> Mapping[tuple[str, str], int]:
        counts: Counter[tuple[str, str]] = Counter()
        for snapshot in self.table.ancestors("main"):
            for address, rows in snapshot.rows.items():
                counts[(snapshot.batch, address)] += rows
        return counts

    def adopted(self, batch_id: str, found: Found) -> Audit:
        return Audit(self.batch_counts(batch_id))

    def made_here(self) -> bool:
        return True

    def check_existing(self, entries: Sequence[Entry], table: TableState) -> None:
        self.trip("check existing")

    def trial(self, entries: Sequence[Entry], columns: Sequence[Column], show: int) -> Trial:
        return Trial(tuple(columns), {}, {})

    def planned(self, columns: Sequence[Column], table: TableState | None) -> tuple[str, ...]:
        return ("CREATE TABLE",) if table is None else ("ALTER TABLE",)

    def duplicate_keys(self) -> int:
        return 0

    def foreign_snapshots(self, own: Collection[int]) -> Sequence[int]:
        return []

    def optimize(self) -> Mapping[str, object]:
        return {}

    def rows_by_batch(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for (batch, _), rows in self.rows_by_batch_and_file().items():
            counts[batch] += rows
        return counts

    def drop_table(self) -> None:
        self.trip("before drop table")
        self.table.snapshots.clear()
        self.table.refs = {"main": None}
        self.table.columns = None

    def drop_branch(self, branch: str) -> None:
        self.trip("before drop")
        self.table.refs.pop(branch, None)

    def sample_rows(self, limit: int) -> list[dict[str, object]]:
        return []


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


class MemoryStore:
    """A worker's side of :class:`Ledger`. ``holder`` is its lease: another store made later fences it out."""

    def __init__(self, ledger: Ledger, trip: Callable[[str], None]) -> None:
        self.ledger = ledger
        ledger.holder += 1
        self.holder = ledger.holder
        self._trip = trip

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
                found.setdefault(row.file.address, []).append(Known(row.file.address, row.file.version, row.state))
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
            row = Row(next(self.ledger.ids), entry.file, entry.state, reason=reason)
            self.ledger.rows[row.id] = row
        return len(new)

    def finish_discovery(self, *, listed: int, hint: str = "") -> None:
        self._write("discovered")
        self.ledger.discovered = True

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
        return batch

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

    def table_created(self) -> None:
        self._write("table created")

    def phase(self, name: str) -> None:
        self._write("phase")

    def listing(self, seen: int) -> None:
        self._write("listing")


def csv_shape(*names: str) -> Shape:
    options = (("delimiter", ","), ("header", "true"), ("multiline", "true"))
    return Shape("csv", tuple(ShapeColumn(name) for name in names), options)


class Unavailable(TransientError):
    """Spark is away."""
