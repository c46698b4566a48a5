"""A source and a table with branches in memory, with the semantics that were measured on Iceberg and Spark.

``Table`` keeps snapshots with parents and refs; publishing is a compare-and-swap; an append that was under way when its
client died may still be committed later, and re-creates a branch that was dropped meanwhile, on whatever main is then.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from autoloader.lib.errors import FileError, TransientError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.context import Context
from ingestions.engine.ledger import AttemptState, Entry, Store, Twin
from ingestions.engine.loader.base import (
    METADATA_COLUMNS,
    PLAIN,
    Audit,
    BadRow,
    Column,
    FileCount,
    Found,
    LostRace,
    Plan,
    Staged,
    TableState,
    Trial,
)
from ingestions.engine.schema.diff import Change, Kind
from ingestions.engine.schema.policy import Finding, Policy
from ingestions.engine.sources.base import RemoteFile, SparkAccess
from tests.engine.feeds import CONFIG

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The worker died here: nothing of it runs any more."""


@dataclass
class MemorySource:
    """CSV files by address; one line a row after the header."""

    files: dict[str, bytes] = field(default_factory=dict)
    #: taken away, and may come back as they were.
    away: dict[str, bytes] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    left_out: int = 0

    def put(self, address: str, content: bytes) -> None:
        self.files[address] = content
        self.versions[address] += 1
        self.away.pop(address, None)

    def take_away(self, address: str) -> None:
        if address in self.files:
            self.away[address] = self.files.pop(address)

    def give_back(self, address: str) -> None:
        if address in self.away:
            self.files[address] = self.away.pop(address)

    def _file(self, address: str) -> RemoteFile:
        return RemoteFile(address, f"v{self.versions[address]}", len(self.files[address]), T0)

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        wanted = sorted(address for address in self.files if address.startswith(below or ""))
        return (self._file(address) for address in wanted if not start_after or address > start_after)

    def folders(self, below: str) -> Iterator[str]:
        rest = (address[len(below) :] for address in self.files if address.startswith(below))
        yield from sorted({f"{below}{name.partition('/')[0]}/" for name in rest if "/" in name})

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
    quick = True

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

    def foresee(self, entries: Sequence[Entry]) -> None:
        self.trip("foresee")

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

    def stage(self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState, plan: Plan = PLAIN) -> Staged:
        rows = {e.file.address: n for e in entries if (n := self._count(e))}
        self.trip("before stage")
        if not rows:
            return Staged(None)
        staged: list[int] = []

        def commit() -> None:
            staged.append(self.table.append(attempt.branch, batch_id, attempt.branch, rows))

        self._answer("stage", commit)
        return Staged(staged[0], added_records=sum(rows.values()))

    def read_through(self, entries: Sequence[Entry]) -> None:
        self.trip("read through")
        for entry in entries:
            self._count(entry)

    def misencoded(self, entries: Sequence[Entry]) -> Mapping[str, FileError]:
        return {}

    def hashes(self, files: Sequence[Twin]) -> Mapping[int, str]:
        return {each.id: self.source.files[each.file.address].hex() for each in files}

    def compare_less(self) -> None:
        pass

    def rows_left(self, pairs: Collection[tuple[str, str]], branch: str = "") -> Mapping[tuple[str, str], int]:
        return {}

    def first_bad(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Mapping[str, BadRow]:
        return {}

    def quarantine(
        self,
        staged: Staged,
        attempt: AttemptState,
        entries: Sequence[Entry],
        replaced: Collection[tuple[str, str]],
    ) -> Mapping[str, int]:
        raise AssertionError("no row of these files is malformed")

    def unquarantine(self, batches: Collection[str], pairs: Collection[tuple[str, str]]) -> None:
        self.trip("unquarantine")

    def quarantined(self) -> Mapping[tuple[str, str], int]:
        return {}

    def _count(self, entry: Entry) -> int:
        address = entry.file.address
        return max(0, len(self.source.read_range(address, 0, 1_000_000).splitlines()) - 1)

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

    def adopted(self, batch_id: str, found: Found, attempt: AttemptState | None = None) -> Audit:
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


class Unavailable(TransientError):
    """Spark is away."""


def context_of(
    table: Table,
    source: MemorySource,
    store: Store,
    trip: Callable[[str], None],
    late: list[Callable[[], None]] | None = None,
) -> Context:
    """What a slice works with, all of it in memory; ``trip`` and ``late`` as for :class:`MemoryLoader`."""

    @contextmanager
    def opened() -> Iterator[MemoryLoader]:
        yield MemoryLoader(table, source, trip, [] if late is None else late)

    return Context(
        config=IngestionConfig.model_validate(CONFIG),
        source=source,
        store=store,
        open_loader=opened,
        interrupt=lambda attempt: trip("interrupt"),
        now=lambda: T0,
    )
