"""Alerts and their deliveries, as REST, commands and pages show them. Of a webhook's address the path is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from ingestions.engine import recipients
from ingestions.models import Alert, AlertDelivery, Ingestion
from ingestions.models.alert import AlertQuerySet
from ingestions.notify.message import TITLES
from ingestions.services.present import instant
from ingestions.services.webhook_secrets import secrets_shown


def alerts(rows: AlertQuerySet) -> AlertQuerySet:
    """The queryset with all that :func:`alert` shows: two queries, however many rows."""
    deliveries = Prefetch("deliveries", AlertDelivery.objects.order_by("pk"))
    return rows.select_related("ingestion").prefetch_related(deliveries)


def alert(row: Alert) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "ingestion_id": str(row.ingestion_id),
        "run_id": str(row.run_id) if row.run_id else None,
        "incident_id": str(row.incident),
        "created_at": instant(row.created_at),
        "subject": row.subject or None,
        "text": row.text or None,
        "deliveries": [delivery(each) for each in row.deliveries.all()],
    }


def delivery(row: AlertDelivery) -> dict[str, Any]:
    return {
        "id": str(row.key),
        "channel": row.channel,
        "recipient": recipients.shown(row.recipient),
        "state": row.state,
        "tries": row.tries,
        "next_try_at": instant(row.next_try_at),
        "ended_at": instant(row.ended_at),
        "reason": row.reason,
    }


def title(row: Alert) -> str:
    return TITLES[row.kind]


@dataclass(frozen=True)
class Recipient:
    """One of an ingestion's recipients as its page shows it; ``number`` is its place in the list."""

    number: int
    text: str
    is_webhook: bool
    #: when a person last saw the secret of this webhook.
    secret_since: datetime | None


def recipients_of(ingestion: Ingestion) -> list[Recipient]:
    """Also those of an ingestion whose alerts are off."""
    named = ingestion.alert_recipients
    seen = secrets_shown(ingestion=ingestion, urls=filter(recipients.is_webhook, named))
    return [
        Recipient(number, recipients.shown(text), recipients.is_webhook(text), seen.get(text))
        for number, text in enumerate(named)
    ]
