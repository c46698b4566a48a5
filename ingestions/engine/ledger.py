"""The ledger's rules: what identifies a file's version, its states, which changes of state are legal, and the
:class:`Store` that a run writes through. Pure values; the ORM's side is ``ingestions.services.store``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from autoloader.lib.errors import AutoloaderError, FatalError
from ingestions.engine.formats.shape import Shape
from ingestions.engine.schema.diff import Path
from ingestions.engine.schema.policy import Decisions, Question
from ingestions.engine.sources.base import RemoteFile


class State(StrEnum):
    """What became of one version of one file."""

    DISCOVERED = "DISCOVERED"  # seen, waits for a batch
    CLAIMED = "CLAIMED"  # belongs to a batch that is being loaded
    LOADED = "LOADED"  # its rows stand in the table, in the snapshot named
    SKIPPED = "SKIPPED"  # seen and deliberately not loaded; the reason says why
    QUARANTINED = "QUARANTINED"  # all of its rows went to the quarantine table
    FAILED = "FAILED"  # cannot be read; the reason says why, a retry or a new version loads it
    SUPERSEDED = "SUPERSEDED"  # its rows were replaced by a later version or generation


#: state -> states it may change to. LOADED goes back to DISCOVERED only by an undo or a reload, never by a run.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.DISCOVERED: frozenset({State.CLAIMED, State.SKIPPED, State.FAILED}),
    State.CLAIMED: frozenset({State.DISCOVERED, State.LOADED, State.SKIPPED, State.FAILED, State.QUARANTINED}),
    State.LOADED: frozenset({State.SUPERSEDED, State.DISCOVERED}),
    State.SKIPPED: frozenset({State.DISCOVERED, State.SUPERSEDED}),
    State.QUARANTINED: frozenset({State.DISCOVERED, State.SUPERSEDED}),
    State.FAILED: frozenset({State.DISCOVERED, State.SKIPPED, State.SUPERSEDED}),
    State.SUPERSEDED: frozenset({State.DISCOVERED}),
}


class Cause(StrEnum):
    """The rule that has skipped a file. A person's word, a duplicate and a replaced version have none."""

    EXCLUDED = "excluded"
    HIDDEN = "hidden"
    UNREADABLE = "unreadable"
    TEMPORARY = "temporary"
    EMPTY = "empty"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    BEFORE_START = "before_start"
    OVERWRITTEN = "overwritten"
    SETTLING = "settling"  # changed a short while ago
    UNSTABLE = "unstable"  # seen once; it has to look the same a second time
    UNMARKED = "unmarked"  # the marker that says its folder is whole is not there yet


#: files that only wait: the next listing looks again, and another version of one takes its row.
HELD = frozenset({Cause.SETTLING, Cause.UNSTABLE, Cause.UNMARKED})
#: rules that may be edited: a file that one of them has skipped is judged anew by each listing that shows it.
RECONSIDERED = frozenset(Cause) - {Cause.OVERWRITTEN}


#: why a version is skipped that was overwritten before it was loaded.
REPLACED = "replaced: a later version of this file arrived before this one was loaded"


def check_transition(old: State, new: State) -> None:
    """Raises :class:`FatalError` where the ledger may not go from ``old`` to ``new``."""
    if new not in TRANSITIONS[old]:
        raise FatalError("illegal_transition", f"A file in state {old} cannot become {new}.")


def sources_of(new: State) -> frozenset[State]:
    """The states from which ``new`` may be reached; the WHERE of a conditional update."""
    return frozenset(old for old, allowed in TRANSITIONS.items() if new in allowed)


@dataclass(frozen=True, slots=True)
class Known:
    """A ledger row as discovery needs it. ``since``: when it came into its state."""

    address: str
    version: str
    state: State
    id: int = 0
    cause: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A file version that the ledger has not seen: DISCOVERED, or SKIPPED with its reason. ``first``: it had no version
    of this file when that was asked."""

    file: RemoteFile
    state: State
    reason: str = ""
    cause: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """A row that a rule had skipped, judged anew: DISCOVERED, or SKIPPED for another reason. ``file`` may be a later
    version, which takes the place of one that only waited."""

    id: int
    file: RemoteFile
    state: State
    reason: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ListingEnd:
    """How a listing was done: ``mode`` full, incremental or audit, and why; ``missed``: files that an audit has found
    and incremental listings had missed; ``memory``: what the next listing has to know, as JSON; ``full_at``: when the
    last whole listing began."""

    mode: str
    reason: str
    missed: int
    memory: Mapping[str, Any]
    full_at: datetime | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row as planning and loading need it. ``shape`` is known once the file's first bytes were read."""

    id: int
    file: RemoteFile
    state: State
    shape: Shape | None = None
    #: the batch under which rows of an earlier look at it stand in the quarantine table.
    quarantined_in: str = ""
    #: of its content, where it was asked for.
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Twin:
    """A file that is as large as another one. ``checksum``: of its content, ``""`` where it is not known yet."""

    id: int
    file: RemoteFile
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier version of a file whose rows are in the table, or all in the quarantine table (QUARANTINED).
    ``quarantined_in``: the batch under which rows of it stand there."""

    id: int
    address: str
    state: State
    batch_id: str
    rows: int
    quarantined_in: str = ""


@dataclass(frozen=True, slots=True)
class Separated:
    """Rows of one file of a batch that are kept out of the table as malformed; ``read`` counts all of its rows."""

    entry_id: int
    read: int
    quarantined: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Entries that wait to be loaded, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as the ledger knows it; ``id`` stands in ``_batch_id`` of each of its rows and in its snapshot."""

    id: str
    number: int
    entries: tuple[Entry, ...]
    attempts: tuple[AttemptState, ...] = ()
    #: malformed rows of it may stand in the quarantine table already.
    separated: bool = False
    #: begun by this very hold of the run: before its first attempt nobody can have published it.
    new: bool = False


@dataclass(frozen=True, slots=True)
class AttemptState:
    """One try at a batch, on a branch of its own. ``session_id`` and ``tag`` let another client interrupt it."""

    number: int
    branch: str
    base_snapshot_id: int | None
    session_id: str
    tag: str
    open: bool


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """Rows of one file of a published batch. ``rescued_rows``: rows with something in ``_rescued_data``."""

    entry_id: int
    rows: int
    rescued_rows: int = 0
    #: values of columns that the table has not and is not to have.
    dropped_values: int = 0


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    snapshot_id: int | None  # None: nothing was written, every file of the batch was empty
    files: tuple[FileOutcome, ...]
    bytes_written: int = 0
    ddl: tuple[str, ...] = ()
    seconds: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: rows of earlier batches that are left in the table, per (batch id, address); ``None``: all of them are.
    left: Mapping[tuple[str, str], int] | None = None
    #: entry id of each earlier version that this batch takes the place of → its rows that are left in the table.
    replaced: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewSchema:
    """A new version of the table's schema: columns as (name, type), the DDL that made it, files that asked for it.
    ``applied``: keys of the changes that a person had approved."""

    columns: tuple[tuple[str, str], ...]
    ddl: tuple[str, ...]
    files: tuple[str, ...]
    note: str
    applied: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """A :class:`~ingestions.engine.schema.policy.Question` with the DDL that would answer it and the entries that wait
    for it."""

    question: Question
    ddl: tuple[str, ...]
    entry_ids: tuple[int, ...]


class Store(Protocol):
    """What a run reads and writes. Each method is one short transaction (at most 5,000 rows); none is called
    inside another. Every write is fenced: it raises ``LeaseLost`` when another worker holds the run by now.
    """

    def fence(self) -> None:
        """Raises ``LeaseLost`` unless this worker still holds the run; renews the lease."""

    def cancel_requested(self) -> bool: ...

    # discovery
    def discovery_done(self) -> bool: ...
    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]: ...
    def record(self, entries: Sequence[NewEntry]) -> int:
        """Adds the versions that are new and returns how many; a second call with the same ones adds none. An earlier
        version that still waits (DISCOVERED) is SKIPPED: its content is gone, it could only be read as the new one.
        """

    def revise(self, revisions: Sequence[Revision]) -> int:
        """Changes rows that are SKIPPED still, and returns how many are DISCOVERED by it."""

    def listing_memory(self) -> Mapping[str, Any] | None:
        """What the last listing for this destination left (:class:`ListingEnd`), if there was one."""

    def finish_discovery(self, *, listed: int, hint: str = "", end: ListingEnd | None = None) -> None: ...

    # planning
    def pending(self, limit: int, after_id: int = 0) -> Sequence[Entry]:
        """DISCOVERED entries with an id above ``after_id``, in order of id, that wait for nobody's decision."""

    def waiting(self, limit: int) -> Waiting | None:
        """What is DISCOVERED in all; ``None`` for more than ``limit`` entries, which are not counted."""

    def set_shapes(self, shapes: Mapping[int, Shape]) -> None: ...
    def set_aside(self, entry_id: int, state: State, error: AutoloaderError) -> None:
        """SKIPPED or FAILED with the reason; FAILED adds a line to the run's errors."""

    def open_batch(self) -> BatchState | None:
        """The batch of this ingestion that was begun and has no outcome yet, from whichever run."""

    def begin_batch(self, entries: Sequence[Entry]) -> BatchState: ...
    def release(self, batch: BatchState, entry_ids: Sequence[int]) -> None:
        """Gives files of an open batch back to DISCOVERED; a batch left without files is closed."""

    def twins(self, entries: Sequence[Entry]) -> Sequence[Twin]:
        """Files that are LOADED or QUARANTINED and as large as one of these, in order of id."""

    def set_checksums(self, checksums: Mapping[int, str]) -> None: ...
    def duplicate(self, entry_id: int, original: Twin) -> None:
        """SKIPPED as a duplicate of a file that is loaded."""

    # loading
    def begin_attempt(self, batch: BatchState, *, session_id: str) -> AttemptState: ...
    def attempt_based(self, batch: BatchState, attempt: AttemptState, base_snapshot_id: int | None) -> None: ...
    def end_attempt(self, batch: BatchState, attempt: AttemptState, outcome: str) -> None: ...
    def batch_loaded(self, batch: BatchState, attempt: AttemptState | None, outcome: BatchOutcome) -> None:
        """Entries LOADED with rows and snapshot, totals raised, attempt ended: one transaction, a no-op when done."""

    def earlier(self, entries: Sequence[Entry]) -> Sequence[Earlier]:
        """Other versions of these files that are LOADED or QUARANTINED."""

    def separate(self, batch: BatchState, rows: Sequence[Separated]) -> None:
        """Notes which malformed rows of an open batch are kept out of the table, before anything of it is published;
        ``[]``: none are, whatever was noted before."""

    def stale_quarantine(self) -> Sequence[str]:
        """Batches that were given up after rows of theirs may have been put into the quarantine table."""

    def quarantine_swept(self, batch_id: str) -> None: ...

    def unreadable(self) -> Sequence[str]:
        """Addresses of FAILED files of which no later version is known: what an overwrite would leave out."""

    def schema_known(self) -> bool:
        """Whether a batch of this ingestion has met its table before."""

    def stale_branches(self) -> Sequence[str]:
        """Branches of ended attempts that have not been swept yet."""

    def branch_swept(self, branch: str) -> None: ...
    def schema_changed(self, change: NewSchema) -> None: ...
    def decisions(self) -> Decisions:
        """What people said of changes of this table's columns."""

    def ask(self, batch: BatchState, asked: Sequence[Asked]) -> None:
        """Keeps the questions; the entries are DISCOVERED again, with the reason, and no part of the batch. Until their
        questions are decided they are not :meth:`pending`."""

    def withdraw_questions(self) -> None:
        """Nobody has to decide any more: the files wait for nothing but a batch."""

    def table_missing(self) -> None:
        """The destination has no table. Where rows were loaded into it, the run says that they are gone."""

    def table_created(self) -> None: ...

    # telling
    def phase(self, name: str) -> None: ...
    def listing(self, seen: int) -> None:
        """The source is being listed, and so many objects were seen so far."""
