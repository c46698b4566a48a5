"""What requests to webhooks are signed with: one secret for each address of an owner, kept encrypted, shown once."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from autoloader.lib.errors import NotFoundError
from ingestions.engine import recipients
from ingestions.models import Ingestion, WebhookSecret


def _new() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


def secret_of(*, owner_id: int, url: str) -> str:
    """The secret to sign with; made where there is none, so that every request is signed."""
    made = {"secret": _new(), "created_at": timezone.now()}
    return str(WebhookSecret.objects.get_or_create(owner_id=owner_id, url=url, defaults=made)[0].secret)


def secret_renew(*, ingestion: Ingestion, url: str) -> str:
    """A new secret for one of its webhooks, in force at once, for all ingestions of the owner that tell this address.
    It is given back here and never again. NotFoundError where the address is no recipient."""
    if url not in ingestion.alert_recipients or not recipients.is_webhook(url):
        raise NotFoundError(
            "recipient_not_found",
            "This address is no webhook among the recipients of the ingestion's alerts.",
            "Add it to quality.alert_recipients first.",
        )
    secret, now = _new(), timezone.now()
    WebhookSecret.objects.update_or_create(
        owner_id=ingestion.owner_id, url=url, defaults={"secret": secret, "created_at": now, "shown_at": now}
    )
    return secret


def secrets_shown(*, ingestion: Ingestion, urls: Iterable[str]) -> dict[str, datetime]:
    """Which of these webhooks have a secret that somebody knows, and since when."""
    rows = WebhookSecret.objects.filter(owner_id=ingestion.owner_id, url__in=list(urls), shown_at__isnull=False)
    return {row.url: row.shown_at for row in rows.only("url", "shown_at") if row.shown_at}
