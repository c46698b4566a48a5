"""What a run asks of a table, without a word of PySpark: the seam between deciding and doing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autoloader.lib.errors import FatalError, FileError, TransientError
from ingestions.engine.ledger import AttemptState, Entry, Twin
from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Change
from ingestions.engine.schema.policy import Finding, Policy

#: columns that we add, in this order, after the feed's own.
SOURCE_FILE = "_source_file"
FILE_MODIFIED_AT = "_file_modified_at"
BATCH_ID = "_batch_id"
LOADED_AT = "_loaded_at"
RESCUED_DATA = "_rescued_data"
METADATA_COLUMNS: tuple[tuple[str, str], ...] = (
    (SOURCE_FILE, "string"),
    (FILE_MODIFIED_AT, "timestamp"),
    (BATCH_ID, "string"),
    (LOADED_AT, "timestamp"),
    (RESCUED_DATA, "string"),
)
#: keys of the snapshot summary that prove which batch and attempt a snapshot is.
SNAPSHOT_BATCH = "autoloader.batch-id"
SNAPSHOT_ATTEMPT = "autoloader.attempt"


#: codes of a FileError that is a suspicion: the file is not what was listed; it holds what is no text in its encoding.
CHANGED, MISENCODED = "file_changed", "encoding_mismatch"
#: … and of a file that the store refuses to the cluster.
DENIED = "file_access_denied"


#: dropping a table can be interrupted from elsewhere by this tag and the session's id.
DROP_TAG = "autoloader_drop"


class LostRace(TransientError):
    """Something else was published since the branch was made: stage again on a new branch."""


class Unnamed(FatalError):
    """Spark could not read one of several files, and does not say which."""


class UnknownOutcome(TransientError):
    """Whether the batch was published cannot be told from the snapshots any more."""


@dataclass(frozen=True, slots=True)
class Column:
    """``type`` is Spark DDL text in lower case (``bigint``, ``decimal(12,2)``, ``struct<a:int>``)."""

    name: str
    type: str
    required: bool = False


def fields_of(columns: Sequence[Column]) -> tuple[types.Field, ...]:
    """The columns with their types parsed."""
    return tuple(types.Field(column.name, types.parse(column.type)) for column in columns)


@dataclass(frozen=True, slots=True)
class TableState:
    columns: tuple[Column, ...]  # the table's, ours included
    snapshot_id: int | None  # head of main
    rows: int | None = None  # from the head's summary

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """Without the metadata columns that we add."""
        ours = {name for name, _ in METADATA_COLUMNS}
        return tuple(column for column in self.columns if column.name not in ours)


@dataclass(frozen=True, slots=True)
class Found:
    """A published snapshot of a batch, found again. ``attempt``: the branch it was staged on, where it says so."""

    snapshot_id: int
    attempt: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """A branch that holds the batch. ``snapshot_id`` is its head; ``None``: no file held a row."""

    snapshot_id: int | None
    added_records: int = 0
    added_bytes: int = 0
    added_files: int = 0
    #: snapshots of this attempt that cannot carry its name (``DELETE`` and ``MERGE`` make them), oldest first.
    own: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FileCount:
    """``malformed``: rows among them that stand in ``_rescued_data`` as a whole; ``conflict``: one of those is the mark
    of a merge conflict; ``uncertain``: rows that a quick look was not certain of."""

    rows: int
    rescued_rows: int
    malformed: int = 0
    conflict: bool = False
    uncertain: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a batch is staged. ``well_formed``: without its malformed rows. ``replaced``: (batch id, address) of the rows
    that it takes the place of. ``careful``: addresses of files that were read before, and have rows of which a quick
    look cannot tell that they are whole; ``None``: all files."""

    well_formed: bool = False
    replaced: frozenset[tuple[str, str]] = frozenset()
    careful: frozenset[str] | None = None


#: with all rows, beside those that are there.
PLAIN = Plan()


@dataclass(frozen=True, slots=True)
class BadRow:
    """``line``: where it begins in its file, where that is known. ``raw``: its text."""

    line: int | None
    raw: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts of a staged batch. ``findings``: what the table has not, or cannot hold, as far as the policy acts on it
    (the batch cannot be published then); the values stand in ``_rescued_data`` of the staged rows.
    """

    files: Mapping[str, FileCount]  # by ledger address; a file without rows is missing
    findings: tuple[Finding, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict)
    #: files that have to be read again with care; then nothing else is known of the batch, and it cannot be published.
    uncertain: frozenset[str] = frozenset()
    #: rows of earlier batches that stay, per (``_batch_id``, ``_source_file``); ``None``: all of them do.
    left: Mapping[tuple[str, str], int] | None = None

    @property
    def rows(self) -> int:
        return sum(count.rows for count in self.files.values())


@dataclass(frozen=True, slots=True)
class FileTrial:
    """``given``: values per column that stand in it; the others of a row are empty, or rescued."""

    rows: int
    rescued_rows: int
    given: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """Files read as they would be loaded. ``rescued``: rows per key of ``_rescued_data``; ``shown``: some rows."""

    columns: tuple[Column, ...]
    files: Mapping[str, FileTrial]  # by ledger address; a file without rows is missing
    rescued: Mapping[str, int]
    shown: tuple[Mapping[str, Any], ...] = ()

    @property
    def rows_read(self) -> int:
        return sum(file.rows for file in self.files.values())

    def given(self, column: str) -> int:
        return sum(file.given.get(column, 0) for file in self.files.values())


class TableLoader(Protocol):
    """One destination table, through one leased session. Errors: ``TransientError`` (Spark gone, commit contention),
    ``FatalError``, ``FileError`` (``path`` names the file: set it aside and go on), ``AccessError``, ``ValueLost``.
    """

    session_id: str
    #: whether batches are read quickly at first. Cleared where most files of a batch had to be read with care.
    quick: bool

    def state(self, *, counted: bool = True) -> TableState | None:
        """The table as the catalog has it now (refreshed), ``None`` where there is none. Without ``counted`` only its
        columns are looked at, which is quicker.
        """

    def foresee(self, entries: Sequence[Entry]) -> None:
        """Where there is no table yet, asks for the types of these files' columns ahead: ``infer`` finds the answer
        there if the files that it is given have the same sample. Nothing else may be asked meanwhile.
        """

    def infer(self, entries: Sequence[Entry], only: Sequence[str] | None = None) -> tuple[Column, ...]:
        """Columns of these files with the narrowest type that fits 99 % of the sampled values, hints applied;
        ``only`` restricts it to some names (new columns of a table that exists).
        """

    def create(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Creates the table (our columns added) if it is not there; the DDL that ran."""

    def add_columns(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """ALTER TABLE for those that are missing; the DDL that ran. Repeatable."""

    def headers(self, entries: Sequence[Entry], table: TableState) -> tuple[Finding, ...]:
        """What the first bytes of these files (CSV header, Parquet schema) show that the table has not; a header of
        text has no types."""

    def alter(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """ALTER TABLE for those of the changes that the table needs yet; the DDL that ran. Repeatable."""

    def altering(self, changes: Sequence[Change], table: TableState) -> tuple[str, ...]:
        """The DDL that :meth:`alter` would run."""

    def follow(self, policy: Policy) -> None:
        """By what the next batch is written and audited; until then it is the configuration's mode."""

    def dropped(self, entries: Sequence[Entry]) -> Mapping[tuple[str, str], int]:
        """Values that are left out of these files, per (address, name)."""

    def open_branch(self, branch: str) -> int | None:
        """Refreshes the table, creates the branch on main's head and returns that snapshot's id."""

    def find_batch(self, branch: str, batch_id: str) -> Found | None:
        """Looks for the batch among the branch's own ancestors. ``UnknownOutcome`` where ancestry was cut and the
        rows cannot tell either.
        """

    def stage(
        self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState, plan: Plan = PLAIN
    ) -> Staged: ...

    def rows_left(self, pairs: Collection[tuple[str, str]], branch: str = "") -> Mapping[tuple[str, str], int]:
        """Rows per (``_batch_id``, ``_source_file``) that stand in the table, or on a branch of it, of these."""

    def first_bad(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Mapping[str, BadRow]:
        """Address → the first malformed row of these files, which were staged with them."""

    def quarantine(
        self,
        staged: Staged,
        attempt: AttemptState,
        entries: Sequence[Entry],
        replaced: Collection[tuple[str, str]],
    ) -> Mapping[str, int]:
        """Puts the malformed rows of these files, as they were staged, into the quarantine table, in one commit with
        the removal of what stands there of the batch or of ``replaced`` (batch id, address). Repeatable. Rows per
        address as the quarantine table then has them.
        """

    def unquarantine(self, batches: Collection[str], pairs: Collection[tuple[str, str]]) -> None:
        """Takes the rows of these batches, and of these (batch id, address), out of the quarantine table."""

    def quarantined(self) -> Mapping[tuple[str, str], int]:
        """Rows of the quarantine table per (``_batch_id``, ``_source_file``); none where there is no such table."""

    def read_through(self, entries: Sequence[Entry]) -> None:
        """Reads every row of these files and keeps none. Raises what staging them would: ``FileError``, ``Unnamed``."""

    def misencoded(self, entries: Sequence[Entry]) -> Mapping[str, FileError]:
        """Address → what is wrong, for files whose bytes are no text in the encoding they are read with. The others
        are not suspected again."""

    def hashes(self, files: Sequence[Twin]) -> Mapping[int, str]:
        """Id → SHA-256 of the content, for those that are still the versions that are meant. FileError for one that
        cannot be read."""

    def compare_less(self) -> None:
        """From now on less of a file is compared with the ledger while it is read: its size and time; its size;
        nothing."""

    def audit(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Audit: ...

    def publish(self, attempt: AttemptState, staged: Staged) -> None:
        """Fast-forward of main, after the branch's chain was checked to reach its base through this attempt's
        snapshots only. ``LostRace`` when main has moved.
        """

    def adopted(self, batch_id: str, found: Found, attempt: AttemptState | None = None) -> Audit:
        """What :meth:`audit` said of a batch that was published by an attempt whose outcome was never written down;
        all of it where that ``attempt`` is known."""

    def made_here(self) -> bool:
        """Whether the table is one that this ingestion's own ``create`` has made."""

    def check_existing(self, entries: Sequence[Entry], table: TableState) -> None:
        """For a table that somebody else made: whether these files fit into it. SchemaStop names both sides."""

    def trial(self, entries: Sequence[Entry], columns: Sequence[Column], show: int) -> Trial:
        """All rows of these files as they would be loaded into ``columns`` (with ours); nothing is written."""

    def planned(self, columns: Sequence[Column], table: TableState | None) -> tuple[str, ...]:
        """The DDL that :meth:`create` (without ``table``) or :meth:`add_columns` would run for ``columns``."""

    def optimize(self) -> Mapping[str, object]:
        """Lays the table's files out as the configuration says (z-order); what was rewritten."""

    def batch_counts(self, batch_id: str) -> Mapping[str, FileCount]:
        """Rows per ``_source_file`` of a published batch, read from main."""

    def table_counts(self) -> Mapping[str, FileCount]:
        """Rows per ``_source_file`` of the whole table."""

    def rows_by_batch_and_file(self) -> Mapping[tuple[str, str], int]:
        """Rows of the whole table per (``_batch_id``, ``_source_file``); rows without a batch id under ``""``."""

    def duplicate_keys(self) -> int:
        """Merge keys that stand more than once in the table; 0 where rows are not merged."""

    def foreign_snapshots(self, own: Collection[int]) -> Sequence[int]:
        """Snapshots of main that no attempt of ours made, newest first. ``own``: ours that cannot say so. Rewrites,
        which change no row, are left out."""

    def rows_by_batch(self) -> Mapping[str, int]:
        """Rows of the whole table per ``_batch_id``; rows without one, and all of a table that has no such column,
        under ``""``.
        """

    def drop_branch(self, branch: str) -> None: ...

    def drop_table(self) -> None:
        """Takes the table out of its catalog; done already is done. Files that it only refers to are not deleted."""

    def sample_rows(self, limit: int) -> list[dict[str, object]]: ...
