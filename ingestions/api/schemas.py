"""What the REST face takes and answers. Answers are made by ``services.present``; unknown fields in them are a bug and
refused, so these models and that module cannot drift apart unseen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Header
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from ingestions.api.parsing import Text
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import State

#: ISO 8601 with a zone, as ``services.present`` writes it.
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
#: an id in a path or an answer; a text that is no UUID is simply not found.
Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
ShortText = Annotated[Text, StringConstraints(max_length=200)]
IdempotencyKey = Annotated[
    ShortText | None,
    Header(None, description="The same key answers with the same run again, however often it is sent."),
]
IngestionStatus = Literal["draft", "active", "paused", "error"]
RunStatus = Literal["queued", "running", "success", "partial", "failed", "cancelled"]
Trigger = Literal["scheduled", "manual", "retry", "continuous", "event", "backfill", "refresh"]
Scope = Literal["read", "run", "write", "admin"]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


# ---- errors


class FaultAnswer(Answer):
    loc: str = Field(description="The field at fault, dotted: source.path.")
    msg: str


class Problem(BaseModel):
    """RFC 9457. Programs decide by `code`; people read `detail`, what happened, and `hint`, what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    field: str | None = Field(None, description="The configuration field at fault, dotted.")
    errors: list[FaultAnswer] | None = Field(None, description="Each fault of a body or parameter (422).")
    needed_scope: Scope | None = Field(None, description="The token scope that would do (403).")
    run_id: Id | None = Field(None, description="The run that is already active (409).")
    config_version: int | None = Field(None, description="The version there is by now (409 `stale_edit`).")
    error_id: str | None = Field(None, description="Stands in the log too (500).")


# ---- ingestions


class Totals(Answer):
    files: int
    rows: int
    bytes: int


class Metadata(Answer):
    checkpoint_location: str
    last_run_id: Id | None
    last_run_time: Instant | None
    next_run_time: Instant | None
    next_run_times: list[Instant] = Field(description="The next five; none where nothing starts it by itself.")
    last_polled_at: Instant | None = Field(description="When the source of a continuous one was looked at last.")
    poll_note: str = Field(description="Why that look failed; empty where it did not.")
    schedule: str = Field(description="The schedule in words.")
    schedule_note: str = Field(description="What became of the last fire, where it made no run, or a late one.")
    schedule_noted_at: Instant | None
    schema_version: int | None
    schema_changes_pending: int = Field(description="Changes that wait for a decision; the ingestion needs review.")
    estimated_monthly_cost: float | None
    last_full_listing: Instant | None = Field(description="When all of the source was last listed.")
    files_missed: int = Field(description="Files that audits have found and incremental listings had missed.")


class IngestionAnswer(IngestionConfig):
    """The configuration, secrets shown as `***`, and what has become of it."""

    id: Id
    status: IngestionStatus
    status_reason: str
    spark_connect_url: str
    created_at: Instant
    updated_at: Instant
    created_by: str
    config_version: int
    totals: Totals
    metadata: Metadata
    warnings: list[str]


class IngestionEdited(IngestionAnswer):
    effects: list[str] = Field(description="What the edit means for the table and the ledger; empty: nothing changed.")


class ImportedIngestion(Answer):
    id: Id
    name: str
    action: Literal["created", "updated", "unchanged"]
    effects: list[str]
    warnings: list[str]


class ImportAnswer(Answer):
    created: int
    updated: int
    unchanged: int
    ingestions: list[ImportedIngestion] = Field(description="In the order of the documents.")


# ---- runs


class RunAccepted(Answer):
    run_id: Id
    ingestion_id: Id
    status: Literal["accepted"]


class BackfillRange(Answer):
    """Which files: modified from the one instant on and before the other, in names that begin so below the path."""

    modified_after: Instant | None
    modified_before: Instant | None
    prefix: str | None


class RunMetrics(Answer):
    files_processed: int
    files_failed: int
    files_skipped: int
    files_held: int = Field(description="They wait for a decision about the schema.")
    records_ingested: int
    records_rescued: int
    records_quarantined: int = Field(description="Malformed rows that were put into the quarantine table.")
    records_dropped: int = Field(description="Malformed rows that were dropped.")
    values_dropped: int = Field(description="Of columns that the table is not to have (mode `none`).")
    bytes_read: int
    bytes_written: int
    duration_seconds: float
    error_count: int


class RunProgress(Answer):
    files_total: int
    files_done: int
    files_listed: int = Field(description="Objects of the source seen so far.")
    bytes_total: int
    bytes_done: int
    rows_done: int
    rows_per_second: float | None = Field(description="Of this run's batches; null until the first is published.")
    seconds_left: float | None
    batches_done: int
    phase: str


class RunDiscovery(Answer):
    mode: Literal["", "full", "incremental", "audit"] = Field(description="Empty until the source is listed.")
    reason: str
    files_missed: int = Field(description="Found by this audit: incremental listings had missed them.")


class RunErrorAnswer(Answer):
    file: str | None
    error_type: str
    message: str
    hint: str
    timestamp: Instant


class RunAnswer(Answer):
    """`metrics.error_count` counts all errors; of `errors`, one run shows the first 1,000, a list of runs 20 each."""

    id: Id
    ingestion_id: Id
    queued_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    status: RunStatus
    trigger: Trigger
    retry_of: Id | None
    retry_number: int = Field(description="Which retry it is that nobody asked for; 0: none.")
    next_retry_at: Instant | None = Field(description="It failed, and is tried again then by itself.")
    scheduled_for: Instant | None = Field(description="The fire of the schedule that it is for.")
    priority: int
    backfill: BackfillRange | None
    metrics: RunMetrics
    progress: RunProgress
    discovery: RunDiscovery
    errors: list[RunErrorAnswer]
    hint: str
    snapshots: list[str]
    spark_job_id: str | None


# ---- backfill


class BackfillBody(Body):
    """At least one of them. Instants without a zone are in UTC."""

    modified_after: datetime | None = Field(None, description="Files modified at this instant or later.")
    modified_before: datetime | None = Field(None, description="Files modified before this instant.")
    prefix: Text | None = Field(
        None, max_length=2048, description="Files whose names begin so: an address, or what follows the source's path."
    )


# ---- refresh


class RefreshBody(Body):
    confirm: bool | None = Field(None, description="Must be true; only a dry run needs no word.")
    auto_run: bool = Field(True, description="Start the run that loads the table again.")
    dry_run: bool = Field(False, description="Look only: nothing is changed.")
    accept_loss: bool = Field(False, description="Refresh in full though files once loaded are gone from the source.")


class RefreshOperation(Answer):
    operation: Literal["table_dropped", "processed_files_cleared", "run_triggered"]
    status: Literal["success", "failed", "skipped"]
    timestamp: Instant
    details: str
    error: str | None
    error_code: str | None


class RefreshImpact(Answer):
    files_to_process: int
    files_skipped: int
    estimated_data_size_gb: float
    estimated_cost_usd: float = Field(description="In the cluster's currency; `notes` say how it was reckoned.")
    estimated_duration_minutes: float


class WouldPerform(Answer):
    operation: str


class RefreshAnswer(Answer):
    """What was done, what it means, and what comes next."""

    status: Literal["accepted", "dry_run", "partial_failure"]
    message: str
    ingestion_id: Id
    run_id: Id | None
    timestamp: Instant
    mode: Literal["full", "new_only"]
    operations: list[RefreshOperation]
    impact: RefreshImpact
    warnings: list[str]
    notes: list[str]
    would_perform: list[WouldPerform]
    next_steps: dict[str, str]


# ---- files


class FileAnswer(Answer):
    """One version of one file, as the ledger has it."""

    id: int
    path: str
    version: str
    size_bytes: int
    modified_at: Instant
    state: State
    reason: str
    cause: str = Field(description="The rule that has skipped it, where one has: `excluded`, `settling` and so on.")
    error: str | None
    run_id: Id | None
    batch_id: Id | None
    snapshot_id: str | None
    rows: int | None
    rescued_rows: int | None
    read_rows: int | None = Field(description="Rows of the file: those in the table, in quarantine, and dropped.")
    quarantined_rows: int | None
    dropped_rows: int | None
    duplicate_of: int | None = Field(description="The file with the same content that is loaded.")
    dropped_values: int | None
    discovered_at: Instant
    state_changed_at: Instant


class AttemptAnswer(Answer):
    """One try at a batch, on a branch of its own."""

    number: int
    branch: str
    state: str
    outcome: str
    created_at: Instant
    ended_at: Instant | None


class BatchAnswer(Answer):
    """The files that were loaded with it in one commit."""

    id: Id
    number: int
    state: str
    files: int
    rows: int
    snapshot_id: str | None
    created_at: Instant
    ended_at: Instant | None
    attempts: list[AttemptAnswer]


class FilePassport(FileAnswer):
    """One file's whole story: where its rows are and which tries there were."""

    ingestion_id: Id
    destination: str
    batch: BatchAnswer | None
