"""Changes of tables' columns that a person decides about."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, badge, each, link, pretty
from ingestions.models import SchemaChange
from ingestions.services import status
from ingestions.services.present_schema import change as presented
from ingestions.services.schema_review import change_approve, change_reject


@admin.register(SchemaChange)
class SchemaChangeAdmin(Console[SchemaChange]):
    list_display = ("number", "state", "ingestion_link", "destination_key", "decided_by", "decided_at", "created_at")
    list_filter = ("status", ("ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("destination_key", "ingestion__name")
    list_select_related = ("ingestion", "decided_by")
    date_hierarchy = "created_at"
    fields = ("number", "state", "ingestion_link", "destination_key", "changes_shown", "ddl_shown", "files_shown",
              "run_link", "version_link", "decided_by", "decided_at", "created_at")  # fmt: skip
    readonly_fields = fields
    actions = ("approve", "reject")

    @admin.display(description="status", ordering="status")
    def state(self, row: SchemaChange) -> SafeString:
        return badge(status.CHANGE[row.status])

    @admin.display(description="ingestion")
    def ingestion_link(self, row: SchemaChange) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="run that met it")
    def run_link(self, row: SchemaChange) -> SafeString | str:
        return link(row.run)

    @admin.display(description="version")
    def version_link(self, row: SchemaChange) -> SafeString | str:
        return link(row.version)

    @admin.display(description="changes")
    def changes_shown(self, row: SchemaChange) -> SafeString:
        return pretty(row.changes)

    @admin.display(description="DDL")
    def ddl_shown(self, row: SchemaChange) -> SafeString:
        return pretty(row.ddl)

    @admin.display(description="files that bring it")
    def files_shown(self, row: SchemaChange) -> SafeString:
        return pretty(presented(row)["files"])

    @admin.action(description="Approve", permissions=["act"])
    def approve(self, request: HttpRequest, rows: QuerySet[SchemaChange]) -> None:
        done = "approved; the next run alters the table and loads the files."
        each(request, rows, lambda row: change_approve(change=row, user=request.user), done)

    @admin.action(description="Reject", permissions=["act"])
    def reject(self, request: HttpRequest, rows: QuerySet[SchemaChange]) -> None:
        done = "rejected; the files load, and these values stand in _rescued_data."
        each(request, rows, lambda row: change_reject(change=row, user=request.user), done)
