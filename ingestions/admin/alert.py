"""Alerts and the outbox: history. An operator may let something be delivered again."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestions.admin.base import Console, badge, each, link, listed, pretty
from ingestions.engine import recipients
from ingestions.models import Alert, AlertDelivery, Trouble, WebhookSecret
from ingestions.services import status
from ingestions.services.alerts import delivery_again


@admin.register(Alert)
class AlertAdmin(Console[Alert]):
    list_display = ("created_at", "kind", "ingestion_link", "subject", "deliveries_link")
    list_filter = ("kind", ("ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("ingestion__name", "subject")
    date_hierarchy = "created_at"
    list_select_related = ("ingestion",)
    fields = ("kind", "ingestion_link", "run_link", "incident", "created_at", "subject", "text", "facts_shown",
              "deliveries_link")  # fmt: skip
    readonly_fields = fields

    @admin.display(description="ingestion")
    def ingestion_link(self, row: Alert) -> SafeString | str:
        return link(row.ingestion)

    @admin.display(description="run")
    def run_link(self, row: Alert) -> SafeString | str:
        return link(row.run)

    @admin.display(description="facts")
    def facts_shown(self, row: Alert) -> SafeString:
        return pretty(row.facts)

    @admin.display(description="deliveries")
    def deliveries_link(self, row: Alert) -> SafeString:
        return listed(AlertDelivery, "deliveries", alert__id__exact=row.pk)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(Console[AlertDelivery]):
    list_display = ("alert_link", "ingestion_link", "channel", "to", "standing", "tries", "next_try_at", "reason")
    list_filter = ("state", "channel", ("alert__ingestion", admin.RelatedOnlyFieldListFilter))
    search_fields = ("=key", "alert__ingestion__name", "server", "reason")
    search_help_text = "An id, or a part of the ingestion's name, the server or the reason."
    list_select_related = ("alert__ingestion",)
    fields = ("key", "alert_link", "ingestion_link", "channel", "to", "standing", "tries", "trying_since",
              "next_try_at", "claimed_until", "ended_at", "reason")  # fmt: skip
    readonly_fields = fields
    actions = ("deliver_again",)

    @admin.display(description="alert")
    def alert_link(self, row: AlertDelivery) -> SafeString | str:
        return link(row.alert)

    @admin.display(description="ingestion")
    def ingestion_link(self, row: AlertDelivery) -> SafeString | str:
        return link(row.alert.ingestion)

    @admin.display(description="to")
    def to(self, row: AlertDelivery) -> str:
        return recipients.shown(row.recipient)

    @admin.display(description="state", ordering="state")
    def standing(self, row: AlertDelivery) -> SafeString:
        return badge(status.DELIVERY[row.state])

    @admin.action(description="Deliver again", permissions=["act"])
    def deliver_again(self, request: HttpRequest, rows: QuerySet[AlertDelivery]) -> None:
        each(request, rows, lambda row: delivery_again(delivery=row), "it is delivered again within seconds.")


@admin.register(Trouble)
class TroubleAdmin(Console[Trouble]):
    list_display = ("ingestion_link", "failing_since", "failed_runs", "told_at", "remind_at")
    list_select_related = ("ingestion",)
    search_fields = ("ingestion__name",)
    fields = ("ingestion_link", "incident", "failing_since", "failed_runs", "last_run", "told_at", "told_runs",
              "remind_at", "aside_runs", "aside_files", "held_files", "aside_run", "aside_told_at")  # fmt: skip
    readonly_fields = fields

    @admin.display(description="ingestion")
    def ingestion_link(self, row: Trouble) -> SafeString | str:
        return link(row.ingestion)


@admin.register(WebhookSecret)
class WebhookSecretAdmin(Console[WebhookSecret]):
    """That there is one, never which."""

    list_display = ("owner", "to", "created_at", "shown_at")
    list_select_related = ("owner",)
    search_fields = ("owner__username",)
    fields = ("owner", "to", "created_at", "shown_at")
    readonly_fields = fields

    @admin.display(description="webhook")
    def to(self, row: WebhookSecret) -> str:
        return recipients.shown(row.url)
