"""The ledger, and what keeps the installation running."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, badge, each, link, mono, pretty
from ingestions.models import Heartbeat, LedgerEntry, LimitLock, SourceBreaker, TableLease
from ingestions.services import status
from ingestions.services.files import file_retry, file_skip
from ingestions.services.heartbeat import ALIVE_SECONDS
from ingestions.services.source_gate import source_try_again
from ingestions.services.status import Badge


@admin.register(LedgerEntry)
class LedgerEntryAdmin(Console[LedgerEntry]):
    list_display = (
        "address_shown",
        "state_shown",
        "reason",
        "rows",
        "snapshot_id",
        "ingestion_link",
        "state_changed_at",
    )
    list_filter = ("state", "cause", ("ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("address", "=snapshot_id")
    search_help_text = "A part of the address, or a snapshot id."
    list_select_related = ("ingestion",)
    ordering = ("-id",)
    fields = (
        "address_shown", "version", "state_shown", "reason", "cause", "error_code", "ingestion_link", "destination_key",
        "size_bytes", "modified_at", "rows", "rescued_rows", "quarantined_rows", "dropped_rows",
        "snapshot_id", "run_link", "batch_link", "shape_shown",
        "discovered_at", "state_changed_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("retry", "skip")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        ours = lookup in ("run__id__exact", "batch__id__exact")
        return ours or super().lookup_allowed(lookup, value, request)

    @admin.display(description="file")
    def address_shown(self, row: LedgerEntry) -> SafeString:
        return mono(row.address)

    @admin.display(description="since", ordering="state_changed_at")
    def since(self, row: LedgerEntry) -> datetime:
        return row.state_changed_at

    @admin.display(description="state", ordering="state")
    def state_shown(self, row: LedgerEntry) -> SafeString:
        return badge(status.FILE[row.state])

    @admin.display(description="ingestion")
    def ingestion_link(self, row: LedgerEntry) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="run")
    def run_link(self, row: LedgerEntry) -> SafeString | str:
        return link(row.run)

    @admin.display(description="batch")
    def batch_link(self, row: LedgerEntry) -> SafeString | str:
        return link(row.batch)

    @admin.display(description="shape")
    def shape_shown(self, row: LedgerEntry) -> SafeString:
        return pretty(row.shape)

    @admin.action(description="Retry", permissions=["act"])
    def retry(self, request: HttpRequest, rows: QuerySet[LedgerEntry]) -> None:
        each(request, rows, lambda row: file_retry(file=row), "waits for the next run and is looked at anew.")

    @admin.action(description="Skip", permissions=["act"])
    def skip(self, request: HttpRequest, rows: QuerySet[LedgerEntry]) -> None:
        each(
            request, rows, lambda row: file_skip(file=row, user=request.user), "is not loaded; retry lets it in again."
        )


@admin.register(TableLease)
class TableLeaseAdmin(Console[TableLease]):
    list_display = ("destination_key", "cluster_link", "run_link", "held", "expires_at")
    search_fields = ("destination_key",)
    list_select_related = ("cluster", "run__ingestion")
    fields = ("destination_key", "cluster_link", "run_link", "held", "expires_at")
    readonly_fields = fields

    @admin.display(description="cluster")
    def cluster_link(self, row: TableLease) -> SafeString | str:
        return link(row.cluster)

    @admin.display(description="run")
    def run_link(self, row: TableLease) -> SafeString | str:
        return link(row.run)

    @admin.display(description="held", boolean=True)
    def held(self, row: TableLease) -> bool:
        return row.expires_at is not None and row.expires_at > timezone.now()


@admin.register(Heartbeat)
class HeartbeatAdmin(Console[Heartbeat]):
    list_display = ("process", "kind", "alive", "started_at", "beat_at")
    list_filter = ("kind",)
    fields = ("kind", "process", "alive", "started_at", "beat_at", "detail_shown")
    readonly_fields = fields

    @admin.display(description="state")
    def alive(self, row: Heartbeat) -> SafeString:
        late = timezone.now() - row.beat_at > timedelta(seconds=ALIVE_SECONDS)
        return badge(Badge("Silent", "bad") if late else Badge("Alive", "ok"))

    @admin.display(description="detail")
    def detail_shown(self, row: Heartbeat) -> SafeString:
        return pretty(row.detail)


@admin.register(SourceBreaker)
class SourceBreakerAdmin(Console[SourceBreaker]):
    list_display = ("store", "is_open", "reason", "failures", "trips", "opened_at", "next_try_at")
    search_fields = ("store",)
    fields = (*list_display, "prober")
    readonly_fields = fields
    actions = ("try_again",)

    @admin.display(description="open", boolean=True)
    def is_open(self, row: SourceBreaker) -> bool:
        return row.is_open

    @admin.action(description="Try again now, where runs wait for it", permissions=["act"])
    def try_again(self, request: HttpRequest, rows: QuerySet[SourceBreaker]) -> None:
        each(request, rows, lambda row: source_try_again(store=row.store), "runs ask it again.")


@admin.register(LimitLock)
class LimitLockAdmin(Console[LimitLock]):
    list_display = ("scope",)
    fields = ("scope",)
    readonly_fields = fields
