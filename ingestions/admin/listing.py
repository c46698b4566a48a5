"""How sources are listed, and what was counted in them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, link, pretty
from ingestions.models import Census, Listing


@admin.register(Listing)
class ListingAdmin(Console[Listing]):
    list_display = ("destination_key", "ingestion_link", "full_at", "missed", "updated_at")
    search_fields = ("destination_key", "ingestion__name")
    list_select_related = ("ingestion",)
    fields = ("ingestion_link", "destination_key", "full_at", "missed", "updated_at", "memory_shown")
    readonly_fields = fields

    @admin.display(description="ingestion")
    def ingestion_link(self, row: Listing) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="left for the next listing")
    def memory_shown(self, row: Listing) -> SafeString:
        return pretty(row.memory)


@admin.register(Census)
class CensusAdmin(Console[Census]):
    list_display = ("ingestion_link", "status", "listed", "started_at", "updated_at")
    list_filter = ("status",)
    search_fields = ("ingestion__name",)
    list_select_related = ("ingestion",)
    fields = ("ingestion_link", "status", "listed", "error", "started_at", "updated_at", "result_shown")
    readonly_fields = fields

    @admin.display(description="ingestion")
    def ingestion_link(self, row: Census) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="what was counted")
    def result_shown(self, row: Census) -> SafeString:
        return pretty(row.result)
