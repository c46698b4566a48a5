"""What a run asks of a table, without a word of PySpark: the seam between deciding and doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autoloader.lib.errors import TransientError
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import AttemptState, Entry

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


class LostRace(TransientError):
    """Something else was published since the branch was made: stage again on a new branch."""


class UnknownOutcome(TransientError):
    """Whether the batch was published cannot be told from the snapshots any more."""


@dataclass(frozen=True, slots=True)
class Column:
    """``type`` is Spark DDL text in lower case (``bigint``, ``decimal(12,2)``, ``struct<a:int>``)."""

    name: str
    type: str
    required: bool = False


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
    """A published snapshot of a batch, found again."""

    snapshot_id: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A branch that holds the batch. ``snapshot_id`` is its head; ``None``: no file held a row."""

    snapshot_id: int | None
    added_records: int = 0
    added_bytes: int = 0
    added_files: int = 0


@dataclass(frozen=True, slots=True)
class FileCount:
    rows: int
    rescued_rows: int


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts of a staged batch. ``unknown``: names that the files have and the table has not, with an inferred
    type each; their values stand in ``_rescued_data`` of the staged rows.
    """

    files: Mapping[str, FileCount]  # by ledger address; a file without rows is missing
    unknown: tuple[Column, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(count.rows for count in self.files.values())


class TableLoader(Protocol):
    """One destination table, through one leased session. Errors: ``TransientError`` (Spark gone, commit contention),
    ``FatalError``, ``FileError`` (``path`` names the file: set it aside and go on), ``AccessError``, ``ValueLost``.
    """

    session_id: str

    def state(self, *, counted: bool = True) -> TableState | None:
        """The table as the catalog has it now (refreshed), ``None`` where there is none. Without ``counted`` only its
        columns are looked at, which is quicker.
        """

    def infer(self, entries: Sequence[Entry], only: Sequence[str] | None = None) -> tuple[Column, ...]:
        """Columns of these files with the narrowest type that fits 99 % of the sampled values, hints applied;
        ``only`` restricts it to some names (new columns of a table that exists).
        """

    def create(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Creates the table (our columns added) if it is not there; the DDL that ran."""

    def add_columns(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """ALTER TABLE for those that are missing; the DDL that ran. Repeatable."""

    def missing(self, shapes: Sequence[Shape], table: TableState) -> tuple[str, ...]:
        """Names that these shapes have (CSV header, Parquet schema) and the table has not."""

    def open_branch(self, branch: str) -> int | None:
        """Refreshes the table, creates the branch on main's head and returns that snapshot's id."""

    def find_batch(self, branch: str, batch_id: str) -> Found | None:
        """Looks for the batch among the branch's own ancestors. ``UnknownOutcome`` where ancestry was cut and the
        rows cannot tell either.
        """

    def stage(self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState) -> Staged: ...

    def audit(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Audit: ...

    def publish(self, attempt: AttemptState, staged: Staged) -> None:
        """Fast-forward of main, after the branch's chain was checked to reach its base through this attempt's
        snapshots only. ``LostRace`` when main has moved.
        """

    def batch_counts(self, batch_id: str) -> Mapping[str, FileCount]:
        """Rows per ``_source_file`` of a published batch, read from main."""

    def table_counts(self) -> Mapping[str, FileCount]:
        """Rows per ``_source_file`` of the whole table."""

    def rows_by_batch_and_file(self) -> Mapping[tuple[str, str], int]:
        """Rows of the whole table per (``_batch_id``, ``_source_file``); rows without a batch id under ``""``."""

    def drop_branch(self, branch: str) -> None: ...

    def sample_rows(self, limit: int) -> list[dict[str, object]]: ...
