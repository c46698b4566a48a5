"""Rows as the REST contract writes them; commands with ``--json`` print the same. No secret is ever in reach here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import ApiToken
from clusters.models import Cluster
from ingestions.engine.config import MASK
from ingestions.models import Batch, Census, Ingestion, LedgerEntry, Listing, Run, RunError, SchemaVersion
from ingestions.models.ingestion import IngestionQuerySet
from ingestions.models.run import RunQuerySet
from ingestions.services import table
from ingestions.services.census import seconds
from ingestions.services.discovering import Outlook
from ingestions.services.editing import Edited
from ingestions.services.exchange import Imported
from ingestions.services.schedules import next_times, told

ERRORS_SHOWN = 1000
ERRORS_IN_A_LIST = 20


def instant(at: datetime | None) -> str | None:
    return at.astimezone(timezone.get_default_timezone()).isoformat().replace("+00:00", "Z") if at else None


def ingestions(rows: IngestionQuerySet) -> IngestionQuerySet:
    """The queryset with all that :func:`ingestion` shows, so that a list of any length costs one query."""
    runs = Run.objects.filter(ingestion=OuterRef("pk"))
    versions = SchemaVersion.objects.filter(ingestion=OuterRef("pk"), destination_key=OuterRef("destination_key"))
    listings = Listing.objects.filter(ingestion=OuterRef("pk"), destination_key=OuterRef("destination_key"))
    return rows.select_related("cluster", "credential", "owner").annotate(
        shown_run=Subquery(runs.values("pk")[:1]),
        shown_run_at=Subquery(runs.values(at=Coalesce("started_at", "queued_at"))[:1]),
        shown_full_at=Subquery(listings.values("full_at")[:1]),
        shown_missed=Coalesce(Subquery(listings.values("missed")[:1]), 0),
        shown_version=Subquery(versions.values("number")[:1]),
    )


def ingestion(row: Ingestion, *, warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    facts = vars(row)
    if "shown_run" not in facts:
        facts = vars(ingestions(Ingestion.objects.filter(pk=row.pk)).get())
    document = dict(row.config)
    if row.credential is not None and row.credential.inline:
        masked = dict.fromkeys(row.credential.secret or {}, MASK)
        document["source"] = {**document["source"], "credentials": {**row.credential.public, **masked}}
    return {
        "id": str(row.pk),
        **document,
        "status": row.status,
        "status_reason": row.status_reason,
        "spark_connect_url": row.cluster.url,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
        "created_by": row.owner.get_username(),
        "config_version": row.config_version,
        "totals": {"files": row.files_loaded, "rows": row.rows_loaded, "bytes": row.bytes_loaded},
        "metadata": {
            "checkpoint_location": f"{settings.CHECKPOINT_BASE_PATH.rstrip('/')}/{row.pk}",
            "last_run_id": str(facts["shown_run"]) if facts["shown_run"] else None,
            "last_run_time": instant(facts["shown_run_at"]),
            "next_run_time": instant(row.next_run_at),
            "next_run_times": [instant(at) for at in next_times(row)],
            "schedule": told(row),
            "schedule_note": row.schedule_note,
            "schedule_noted_at": instant(row.schedule_noted_at),
            "last_polled_at": instant(row.last_polled_at),
            "poll_note": row.poll_note,
            "schema_version": facts["shown_version"],
            "schema_changes_pending": row.changes_pending,
            "estimated_monthly_cost": row.monthly_cost if row.monthly_cost_version == row.config_version else None,
            "last_full_listing": instant(facts["shown_full_at"]),
            "files_missed": facts["shown_missed"],
        },
        "warnings": list(warnings),
    }


def imported(rows: Sequence[Imported]) -> dict[str, Any]:
    return {
        **{action: sum(row.action == action for row in rows) for action in ("created", "updated", "unchanged")},
        "ingestions": [
            {
                "id": str(row.ingestion.pk),
                "name": row.ingestion.name,
                "action": row.action,
                "effects": list(row.effects),
                "warnings": list(row.warnings),
            }
            for row in rows
        ],
    }


def edited(row: Edited) -> dict[str, Any]:
    return {**ingestion(row.ingestion, warnings=row.warnings), "effects": list(row.effects)}


def duration_seconds(run: Run) -> float:
    if run.started_at is None:
        return 0.0
    return round(((run.ended_at or timezone.now()) - run.started_at).total_seconds(), 1)


def progress(run: Run, batches: Iterable[Batch] | None = None) -> dict[str, Any]:
    """How far a run is. ``batches``: those of it that are published, where they were read already.

    Rate and time left come from what the batches of this run took, not from queueing, listing or waiting; they are
    ``None`` while there is none yet. The batch in hand counts as time spent, up to what a batch takes on average.
    """
    speed = _speed(run, _published().filter(run=run) if batches is None else batches)
    left: float | None = None
    if not run.is_active or run.is_idle:
        left = 0.0
    elif speed is not None and run.discovered_at and not run.waits_for:  # how long a wait is nobody knows
        in_hand = (timezone.now() - speed.last_at).total_seconds()
        remaining = max(run.bytes_total - run.bytes_done, 0) / speed.bytes_per_second
        left = round(max(remaining - min(in_hand, speed.batch_seconds), 0.0), 1)
    return {
        "files_total": run.files_total,
        "files_done": run.files_done,
        "files_listed": run.files_listed,
        "bytes_total": run.bytes_total,
        "bytes_done": run.bytes_done,
        "rows_done": run.rows_done,
        "rows_per_second": round(speed.rows_per_second, 1) if speed else None if run.is_active else 0.0,
        "seconds_left": left,
        "batches_done": run.batches_done,
        "phase": run.phase,
    }


@dataclass(frozen=True)
class _Speed:
    bytes_per_second: float
    rows_per_second: float
    batch_seconds: float  # on average
    last_at: datetime  # when the last of them was published


def _speed(run: Run, batches: Iterable[Batch]) -> _Speed | None:
    """Of a run's published batches; one that an earlier run had begun counts from this run's start."""
    began = run.started_at or run.queued_at
    spans = [(batch, batch.ended_at, max(batch.created_at, began)) for batch in batches if batch.ended_at]
    seconds = sum((ended - start).total_seconds() for _, ended, start in spans)
    size = sum(batch.bytes for batch, _, _ in spans)
    if seconds <= 0 or not size:
        return None
    rows = sum(batch.rows for batch, _, _ in spans)
    return _Speed(size / seconds, rows / seconds, seconds / len(spans), max(ended for _, ended, _ in spans))


def runs(rows: RunQuerySet) -> RunQuerySet:
    """The queryset with all that :func:`run` shows: three queries, however many rows; few errors of each run."""
    counted = RunError.objects.filter(run=OuterRef("pk")).order_by().values("run").annotate(n=Count("pk"))
    return rows.annotate(shown_error_count=Coalesce(Subquery(counted.values("n")), 0)).prefetch_related(
        Prefetch("errors", RunError.objects.order_by("id")[:ERRORS_IN_A_LIST], to_attr="shown_errors"),
        Prefetch("batches", _published(), to_attr="shown_batches"),
    )


def _published() -> QuerySet[Batch]:
    return Batch.objects.exclude(snapshot_id=None).order_by("number")


def run(row: Run) -> dict[str, Any]:
    facts = vars(row)
    if "shown_errors" in facts:
        found, count, published = facts["shown_errors"], facts["shown_error_count"], facts["shown_batches"]
    else:  # a row that was read by itself, and may be refreshed: nothing is kept on it
        found, count, published = (
            row.errors.order_by("id")[:ERRORS_SHOWN],
            row.errors.count(),
            list(_published().filter(run=row)),
        )
    errors = [
        {
            "file": error.file or None,
            "error_type": error.error_type,
            "message": error.message,
            "hint": error.hint,
            "timestamp": instant(error.created_at),
        }
        for error in found
    ]
    return {
        "id": str(row.pk),
        "ingestion_id": str(row.ingestion_id),
        "queued_at": instant(row.queued_at),
        "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at),
        "status": row.status,
        "trigger": row.trigger,
        "retry_of": str(row.retry_of_id) if row.retry_of_id else None,
        "retry_number": row.retry_number,
        "next_retry_at": instant(row.retry_at),
        "scheduled_for": instant(row.scheduled_for),
        "priority": row.priority,
        "backfill": row.backfill,
        "metrics": {
            "files_processed": row.files_loaded,
            "files_failed": row.files_failed,
            "files_skipped": row.files_skipped,
            "files_held": row.files_held,
            "records_ingested": row.rows_done,
            "records_rescued": row.rows_rescued,
            "records_quarantined": row.rows_quarantined,
            "records_dropped": row.rows_dropped,
            "values_dropped": row.values_dropped,
            "bytes_read": row.bytes_done,
            "bytes_written": row.bytes_written,
            "duration_seconds": duration_seconds(row),
            "error_count": count,
        },
        "progress": progress(row, published),
        "discovery": {
            "mode": row.listing_mode,
            "reason": row.listing_reason,
            "files_missed": row.files_missed,
        },
        "errors": errors,
        "hint": row.hint,
        "snapshots": [str(batch.snapshot_id) for batch in published],
        "spark_job_id": None,
    }


def completeness(row: Census, next_: Outlook) -> dict[str, Any]:
    return {
        "ingestion_id": str(row.ingestion_id),
        "status": row.status,
        "started_at": instant(row.started_at),
        "updated_at": instant(row.updated_at),
        "seconds": seconds(row, timezone.now()),
        "objects_counted": row.listed,
        "result": row.result,
        "error": row.error or None,
        "discovery": outlook(next_),
    }


def outlook(found: Outlook) -> dict[str, Any]:
    """How the next run will list."""
    return {
        "mode": found.next.mode,
        "reason": found.next.reason,
        "growth": found.growth,
        "last_full_at": instant(found.full_at),
        "audit_at": instant(found.audit_at),
        "files_missed": found.missed,
    }


def file(row: LedgerEntry) -> dict[str, Any]:
    return {
        "id": row.pk,
        "path": row.address,
        "version": row.version,
        "size_bytes": row.size_bytes,
        "modified_at": instant(row.modified_at),
        "state": row.state,
        "reason": row.reason,
        "cause": row.cause,
        "error": row.error_code or None,
        "run_id": str(row.run_id) if row.run_id else None,
        "batch_id": str(row.batch_id) if row.batch_id else None,
        "snapshot_id": str(row.snapshot_id) if row.snapshot_id else None,
        "rows": row.rows,
        "rescued_rows": row.rescued_rows,
        "read_rows": row.rows if row.read_rows is None else row.read_rows,
        "quarantined_rows": row.quarantined_rows,
        "dropped_rows": row.dropped_rows,
        "duplicate_of": row.duplicate_of_id,
        "dropped_values": row.dropped_values,
        "discovered_at": instant(row.discovered_at),
        "state_changed_at": instant(row.state_changed_at),
    }


def quarantine(row: LedgerEntry) -> dict[str, Any]:
    """A file with malformed rows that are kept out of its table, and the query that shows those in quarantine."""
    return {
        "file_id": row.pk,
        "path": row.address,
        "state": row.state,
        "ingestion_id": str(row.ingestion_id),
        "run_id": str(row.run_id) if row.run_id else None,
        "batch_id": str(row.batch_id) if row.batch_id else None,
        "read_rows": row.read_rows,
        "rows": row.rows,
        "quarantined_rows": row.quarantined_rows or 0,
        "dropped_rows": row.dropped_rows or 0,
        "table": table.quarantine_of(row.ingestion) if row.quarantined_rows else None,
        "query": table.query_of_quarantine(row) or None,
    }


def passport(row: LedgerEntry) -> dict[str, Any]:
    """One file's whole story: its batch with every attempt at it."""
    return {
        **file(row),
        "ingestion_id": str(row.ingestion_id),
        "destination": row.destination_key,
        "batch": _batch(row.batch) if row.batch else None,
    }


def _batch(row: Batch) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "number": row.number,
        "state": row.state,
        "files": row.files,
        "rows": row.rows,
        "snapshot_id": str(row.snapshot_id) if row.snapshot_id else None,
        "created_at": instant(row.created_at),
        "ended_at": instant(row.ended_at),
        "attempts": [
            {
                "number": attempt.number,
                "branch": attempt.branch,
                "state": attempt.state,
                "outcome": attempt.outcome,
                "created_at": instant(attempt.created_at),
                "ended_at": instant(attempt.ended_at),
            }
            for attempt in row.attempts.all()
        ],
    }


def token(row: ApiToken) -> dict[str, Any]:
    """A token as a list shows it; its text is not kept anywhere."""
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "scope": row.scope,
        "user": row.user.get_username(),
        "created_at": instant(row.created_at),
        "expires_at": instant(row.expires_at),
        "last_used_at": instant(row.last_used_at),
        "revoked_at": instant(row.revoked_at),
    }


def cluster(row: Cluster) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "status": row.status,
        "workers": row.workers,
        "dbu_per_worker": row.dbu_per_worker,
        "spark_connect_url": row.url,
        "token": MASK if row.token else None,
        "default_catalog": row.default_catalog,
        "pricing": {"dbu_hour": row.price_dbu_hour, "storage_gb_month": row.price_storage_gb_month},
        "currency": row.currency,
        "max_runs": row.max_runs,
        "is_embedded": row.is_embedded,
        "last_test": row.last_test,
        "last_test_at": instant(row.last_test_at),
    }
