"""Runs, their errors, batches and attempts: history."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, Inline, badge, each, link, listed, mono, pretty
from ingestions.models import Attempt, Batch, LedgerEntry, Run, RunError
from ingestions.services import present, status
from ingestions.services.runs import run_cancel, run_retry


@admin.register(Run)
class RunAdmin(Console[Run]):
    list_display = ("queued_at", "state", "ingestion_link", "trigger", "files", "failed", "rows_done", "took", "said")
    list_filter = ("status", "trigger", ("ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("=id", "ingestion__name", "error_message")
    search_help_text = "An id, or a part of the ingestion's name or of the error."
    date_hierarchy = "queued_at"
    list_select_related = ("ingestion", "requested_by")
    fields = (
        "id", "ingestion_link", "state", "trigger", "scheduled_for", "priority", "retry_of", "retry_number", "retry_at",
        "backfill", "requested_by", "phase", "hint", "error_code",
        "error_message",
        "error_hint", "queued_at", "started_at", "discovered_at", "ended_at", "cancel_requested_at", "files", "failed",
        "files_skipped", "listing_mode", "listing_reason",
        "files_listed", "files_missed", "rows_done", "rows_rescued", "rows_quarantined", "rows_dropped",
        "bytes_done", "batches", "errors_link", "lease_holder",
        "lease_expires_at", "takeovers", "slices", "transient_failures", "resume_at", "waits_for", "place_since",
        "config_shown",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("retry", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).select_related("ingestion", "requested_by")

    @admin.display(description="status", ordering="status")
    def state(self, row: Run) -> SafeString:
        return badge(status.run_badge(row))

    @admin.display(description="ingestion", ordering="ingestion__name")
    def ingestion_link(self, row: Run) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="files", ordering="files_loaded")
    def files(self, row: Run) -> SafeString:
        return listed(LedgerEntry, f"{row.files_loaded:,}", run__id__exact=row.pk)

    @admin.display(description="failed", ordering="files_failed")
    def failed(self, row: Run) -> SafeString:
        return listed(LedgerEntry, f"{row.files_failed:,}", run__id__exact=row.pk, state__exact="FAILED")

    @admin.display(description="took")
    def took(self, row: Run) -> str:
        return f"{present.duration_seconds(row):g} s"

    @admin.display(description="what it said")
    def said(self, row: Run) -> str:
        return (row.error_message or row.hint or row.phase)[:120]

    @admin.display(description="batches")
    def batches(self, row: Run) -> SafeString:
        return listed(Batch, f"{row.batches_done:,} loaded", run__id__exact=row.pk)

    @admin.display(description="errors")
    def errors_link(self, row: Run) -> SafeString:
        return listed(RunError, "its errors", run__id__exact=row.pk)

    @admin.display(description="configuration it ran with")
    def config_shown(self, row: Run) -> SafeString:
        return pretty(row.config)

    @admin.action(description="Retry", permissions=["act"])
    def retry(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        done = "a new run is queued; its failed files wait again."
        each(request, rows, lambda row: run_retry(run=row, user=request.user), done)

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        each(request, rows, lambda row: run_cancel(run=row), "stops; published batches stay, the other files wait.")


@admin.register(RunError)
class RunErrorAdmin(Console[RunError]):
    list_display = ("created_at", "run_link", "error_type", "file_shown", "message")
    list_filter = ("error_type",)
    search_fields = ("file", "message", "run__ingestion__name")
    list_select_related = ("run__ingestion",)
    date_hierarchy = "created_at"
    fields = ("run_link", "file_shown", "error_type", "message", "hint", "created_at")
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="run")
    def run_link(self, row: RunError) -> SafeString | str:
        return link(row.run)

    @admin.display(description="file")
    def file_shown(self, row: RunError) -> SafeString:
        return mono(row.file or "the run itself")


class AttemptInline(Inline[Attempt, Batch]):
    model = Attempt
    fields = ("number", "branch", "state", "outcome", "base_snapshot_id", "created_at", "ended_at", "swept_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(Console[Batch]):
    list_display = ("number", "run_link", "state", "files_link", "rows", "snapshot_id", "created_at", "ended_at")
    list_filter = ("state", ("ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("=id", "=snapshot_id", "destination_key", "ingestion__name")
    list_select_related = ("run__ingestion",)
    date_hierarchy = "created_at"
    inlines = (AttemptInline,)
    fields = ("id", "run_link", "destination_key", "number", "state", "files_link", "bytes", "rows",
              "rescued_rows", "quarantined_rows", "dropped_rows",
              "bytes_written", "snapshot_id", "ddl_shown", "detail_shown", "created_at", "ended_at")  # fmt: skip
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="run")
    def run_link(self, row: Batch) -> SafeString | str:
        return link(row.run)

    @admin.display(description="files")
    def files_link(self, row: Batch) -> SafeString:
        return listed(LedgerEntry, f"{row.files:,}", batch__id__exact=row.pk)

    @admin.display(description="DDL")
    def ddl_shown(self, row: Batch) -> SafeString:
        return pretty(row.ddl)

    @admin.display(description="detail")
    def detail_shown(self, row: Batch) -> SafeString:
        return pretty(row.detail)


@admin.register(Attempt)
class AttemptAdmin(Console[Attempt]):
    list_display = ("branch", "batch_link", "number", "state", "outcome", "created_at", "ended_at", "swept_at")
    list_filter = ("state",)
    search_fields = ("branch", "outcome", "session_id")
    list_select_related = ("batch",)
    date_hierarchy = "created_at"
    fields = ("batch_link", "number", "branch", "base_snapshot_id", "session_id", "tag", "state", "outcome",
              "created_at", "ended_at", "swept_at")  # fmt: skip
    readonly_fields = fields

    @admin.display(description="batch")
    def batch_link(self, row: Attempt) -> SafeString | str:
        return link(row.batch)
