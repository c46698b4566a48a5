"""Ingestions, their credentials and the versions of their schemas."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, badge, each, link, listed, mono, pretty
from ingestions.engine.ledger import State
from ingestions.models import Credential, Ingestion, LedgerEntry, Run, SchemaVersion
from ingestions.services import overview, schedules
from ingestions.services.ingestions import ingestion_delete
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause, ingestion_resume
from ingestions.services.runs import run_start


@admin.register(Ingestion)
class IngestionAdmin(Console[Ingestion]):
    list_display = (
        "name",
        "state",
        "owner_name",
        "source",
        "destination",
        "files",
        "rows",
        "failed",
        "next_run_at",
        "created_at",
    )
    list_filter = ("status", "cluster", ("owner", admin.RelatedOnlyFieldListFilter), "created_table")
    search_fields = ("name", "destination_key", "owner__username", "=id")
    search_help_text = "A part of the name, of the table or of the owner's name, or an id."
    date_hierarchy = "created_at"
    list_select_related = ("owner", "cluster")
    fields = (
        "id", "name", "state", "status_reason", "owner_name", "cluster_link", "destination", "config_shown",
        "schedule_told", "next_run_at", "next_times", "schedule_note", "schedule_noted_at", "behind_for",
        "next_poll_at", "last_polled_at", "poll_failures", "poll_note",
        "config_version", "created_table", "refresh_mode", "files", "rows", "failed", "runs", "created_at",
        "updated_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("run_now", "activate", "pause", "resume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ingestion]:
        return super().get_queryset(request).select_related("owner", "cluster")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """One look for the whole page at what needs other tables."""
        changes = super().get_changelist_instance(request)
        shown = list(changes.result_list)
        found = {row.ingestion.pk: row for row in overview.rows(shown)}
        failed = overview.failed(shown)
        for row in shown:  # the columns below get nothing but the row
            vars(row).update(_found=found[row.pk], _failed=failed.get(row.pk, 0))
        changes.result_list = shown
        return changes

    @admin.display(description="status")
    def state(self, row: Ingestion) -> SafeString:
        return badge((getattr(row, "_found", None) or overview.row(row)).badge)

    @admin.display(description="owner", ordering="owner__username")
    def owner_name(self, row: Ingestion) -> str:
        return row.owner.get_username()

    @admin.display(description="cluster")
    def cluster_link(self, row: Ingestion) -> SafeString | str:
        return link(row.cluster)

    @admin.display(description="source")
    def source(self, row: Ingestion) -> SafeString:
        return mono(row.config["source"]["path"])

    @admin.display(description="table", ordering="destination_key")
    def destination(self, row: Ingestion) -> SafeString:
        return mono(row.destination_key)

    @admin.display(description="files", ordering="files_loaded")
    def files(self, row: Ingestion) -> SafeString:
        return listed(LedgerEntry, f"{row.files_loaded:,}", ingestion__id__exact=row.pk)

    @admin.display(description="rows", ordering="rows_loaded")
    def rows(self, row: Ingestion) -> str:
        return f"{row.rows_loaded:,}"

    @admin.display(description="failed files")
    def failed(self, row: Ingestion) -> SafeString:
        count = row._failed if hasattr(row, "_failed") else overview.failed([row]).get(row.pk, 0)
        return listed(LedgerEntry, f"{count:,}", ingestion__id__exact=row.pk, state__exact=State.FAILED)

    @admin.display(description="runs")
    def runs(self, row: Ingestion) -> SafeString:
        return listed(Run, "all its runs", ingestion__id__exact=row.pk)

    @admin.display(description="schedule")
    def schedule_told(self, row: Ingestion) -> str:
        return schedules.told(row)

    @admin.display(description="next times")
    def next_times(self, row: Ingestion) -> str:
        return "; ".join(schedules.next_times_told(row)) or "none: nothing starts it by itself"

    @admin.display(description="configuration")
    def config_shown(self, row: Ingestion) -> SafeString:
        return pretty(row.config)

    @admin.action(description="Run now", permissions=["act"])
    def run_now(self, request: HttpRequest, rows: QuerySet[Ingestion]) -> None:
        each(request, rows, lambda row: run_start(ingestion=row, user=request.user), "a run is queued.")

    @admin.action(description="Activate", permissions=["act"])
    def activate(self, request: HttpRequest, rows: QuerySet[Ingestion]) -> None:
        each(request, rows, lambda row: ingestion_activate(ingestion=row, user=request.user), "is active.")

    @admin.action(description="Pause", permissions=["act"])
    def pause(self, request: HttpRequest, rows: QuerySet[Ingestion]) -> None:
        done = "is paused; a run in hand goes on."
        each(request, rows, lambda row: ingestion_pause(ingestion=row, user=request.user), done)

    @admin.action(description="Resume", permissions=["act"])
    def resume(self, request: HttpRequest, rows: QuerySet[Ingestion]) -> None:
        each(request, rows, lambda row: ingestion_resume(ingestion=row, user=request.user), "is active again.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("ingestions.delete_ingestion")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django would read the whole ledger to list it."""
        return [f"{row}: its runs and its ledger; its table and its files stay" for row in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Ingestion) -> None:
        ingestion_delete(ingestion=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Ingestion]) -> None:
        each(request, queryset, lambda row: ingestion_delete(ingestion=row), "is deleted.")


@admin.register(Credential)
class CredentialAdmin(Console[Credential]):
    """What may be shown of it; the secret is write-only and is set where ingestions are made."""

    list_display = ("name", "cloud", "owner", "secret_set", "inline", "updated_at")
    list_filter = ("cloud", "inline")
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)
    fields = ("id", "name", "cloud", "owner", "public_shown", "secret_set", "inline", "created_at", "updated_at")
    readonly_fields = fields

    @admin.display(description="secret")
    def secret_set(self, row: Credential) -> str:
        return f"{len(row.secret)} values set" if row.secret else "none"

    @admin.display(description="public part")
    def public_shown(self, row: Credential) -> SafeString:
        return pretty(row.public)


@admin.register(SchemaVersion)
class SchemaVersionAdmin(Console[SchemaVersion]):
    list_display = ("number", "ingestion_link", "destination_key", "columns_count", "run_link", "created_at")
    search_fields = ("destination_key", "ingestion__name")
    list_filter = (("ingestion", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("ingestion", "run", "run__ingestion")
    date_hierarchy = "created_at"
    fields = ("ingestion_link", "destination_key", "number", "columns_shown", "ddl_shown", "files_shown", "note",
              "run_link", "actor", "created_at")  # fmt: skip
    readonly_fields = fields

    @admin.display(description="ingestion")
    def ingestion_link(self, row: SchemaVersion) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="run")
    def run_link(self, row: SchemaVersion) -> SafeString | str:
        return link(row.run)

    @admin.display(description="columns")
    def columns_count(self, row: SchemaVersion) -> int:
        return len(row.columns)

    @admin.display(description="columns")
    def columns_shown(self, row: SchemaVersion) -> SafeString:
        return pretty(row.columns)

    @admin.display(description="DDL")
    def ddl_shown(self, row: SchemaVersion) -> SafeString:
        return pretty(row.ddl)

    @admin.display(description="files that asked for it")
    def files_shown(self, row: SchemaVersion) -> SafeString:
        return pretty(row.files)
