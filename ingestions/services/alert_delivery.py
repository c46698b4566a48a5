"""The outbox, emptied: each delivery is claimed, tried within a bounded time, and tried again later where it failed.

At least once: a deliverer that dies after the other side took the message delivers it again when its claim has run out.
The other side tells it by the id, which stays the same.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from autoloader.lib.errors import AutoloaderError
from autoloader.lib.logs import log_context
from ingestions.engine import recipients
from ingestions.engine.ledger import State
from ingestions.models import Alert, AlertDelivery, LedgerEntry
from ingestions.models.alert import CLAIM
from ingestions.notify import NotDelivered, mail, message, webhook
from ingestions.services.alerts import told
from ingestions.services.webhook_secrets import secret_of

logger = logging.getLogger(__name__)

#: from each try in vain to the next, the last one again and again; what is not delivered within a day is given up.
WAITS = tuple(timedelta(seconds=each) for each in (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600))
GIVE_UP_AFTER = timedelta(days=1)
#: alerts that ended so long ago are forgotten.
KEPT = timedelta(days=90)
REASON_LENGTH = 500


def claim(delivery: AlertDelivery, *, now: datetime | None = None) -> AlertDelivery | None:
    """Takes hold of one that is due; ``None`` where another deliverer was first."""
    now = now or timezone.now()
    token = secrets.token_hex(16)
    mine = AlertDelivery.objects.due(now).filter(pk=delivery.pk)
    since = Coalesce(F("trying_since"), Value(now))
    if not mine.update(claim=token, claimed_until=now + CLAIM, tries=F("tries") + 1, trying_since=since):
        return None
    held = AlertDelivery.objects.filter(pk=delivery.pk, claim=token)
    return held.select_related("alert__ingestion").first()


def deliver(delivery: AlertDelivery, *, now: datetime | None = None) -> bool:
    """One try of a delivery that is claimed, and what came of it written down. Whether it arrived."""
    alert = delivery.alert
    with log_context(ingestion_id=str(alert.ingestion_id)):
        try:
            if not _wanted(delivery):
                _end(delivery, AlertDelivery.State.GIVEN_UP, "It is no recipient of these alerts any more.", now)
                return False
            _send(delivery, _said(alert))
        except NotDelivered as error:
            _failed(delivery, error.message, now)
            return False
        except AutoloaderError as error:  # a secret that no key opens
            _failed(delivery, error.message, now)
            return False
        _end(delivery, AlertDelivery.State.DELIVERED, "", now)
        logger.info("alert delivered", extra={"kind": alert.kind, "to": recipients.shown(delivery.recipient)})
        return True


def _wanted(delivery: AlertDelivery) -> bool:
    """People take themselves off while something waits for them."""
    alert = delivery.alert
    if alert.kind == Alert.Kind.TEST:
        return True
    return delivery.recipient in told(alert.ingestion)


def _said(alert: Alert) -> message.Said:
    """Written once, so that all recipients and all tries say the same."""
    if not alert.text:
        ledger = LedgerEntry.objects.filter(ingestion=alert.ingestion, destination_key=alert.ingestion.destination_key)
        standing = message.Standing(
            waiting=ledger.filter(state__in=[State.DISCOVERED, State.CLAIMED]).count(),
            failed=ledger.filter(state=State.FAILED).newest().count(),
        )
        said = message.say(
            alert.kind,
            message.Facts(**alert.facts),
            standing,
            at=alert.created_at,
            incident=str(alert.incident),
            base_url=settings.BASE_URL.rstrip("/"),
        )
        Alert.objects.filter(pk=alert.pk, text="").update(subject=said.subject, text=said.text, document=said.document)
        alert.refresh_from_db()
    return message.Said(alert.subject, alert.text, alert.document)


def _send(delivery: AlertDelivery, said: message.Said) -> None:
    alert = delivery.alert
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        webhook.send(
            url=delivery.recipient,
            document=said.document,
            key=str(delivery.key),
            secret=secret_of(owner_id=alert.ingestion.owner_id, url=delivery.recipient),
            allowed_networks=settings.ALLOWED_NETWORKS,
        )
        return
    mail.send(
        to=delivery.recipient,
        subject=said.subject,
        text=said.text,
        key=str(delivery.key),
        incident=str(alert.incident),
        at=alert.created_at,
        about={"X-Autoloader-Kind": alert.kind, "X-Autoloader-Ingestion": str(alert.ingestion_id)},
    )


def _failed(delivery: AlertDelivery, reason: str, now: datetime | None) -> None:
    now = now or timezone.now()
    next_try_at = now + WAITS[min(delivery.tries, len(WAITS)) - 1]
    extra = {"to": recipients.shown(delivery.recipient), "reason": reason, "tries": delivery.tries}
    if delivery.alert.kind == Alert.Kind.TEST or next_try_at > (delivery.trying_since or now) + GIVE_UP_AFTER:
        logger.warning("alert given up", extra=extra)
        _end(delivery, AlertDelivery.State.GIVEN_UP, reason, now)
        return
    logger.warning("alert not delivered", extra=extra)
    _let_go(delivery, next_try_at=next_try_at, reason=reason[:REASON_LENGTH])


def _end(delivery: AlertDelivery, state: str, reason: str, now: datetime | None) -> None:
    now = now or timezone.now()
    with transaction.atomic():
        _let_go(delivery, state=state, reason=reason[:REASON_LENGTH], ended_at=now, next_try_at=None)
        if state == AlertDelivery.State.DELIVERED:  # the way is open: what waits for it waits no longer
            AlertDelivery.objects.filter(
                recipient=delivery.recipient, state=AlertDelivery.State.WAITING, next_try_at__gt=now
            ).update(next_try_at=now)


def _let_go(delivery: AlertDelivery, **changes: object) -> None:
    """Only if it is still held: whoever comes back late leaves it to the one that has it now."""
    mine = AlertDelivery.objects.filter(pk=delivery.pk, claim=delivery.claim, state=AlertDelivery.State.WAITING)
    mine.update(claim="", claimed_until=None, **changes)


def deliver_due(*, now: datetime | None = None) -> int:
    """Tries all that is due, one after the other; how many arrived. For commands: :class:`Deliverer` does not wait."""
    count = 0
    for delivery in AlertDelivery.objects.due(now or timezone.now()).order_by("pk"):
        held = claim(delivery, now=now)
        count += held is not None and deliver(held, now=now)
    return count


def forget(*, now: datetime | None = None) -> int:
    """Deletes alerts that came up more than 90 days ago and of which nothing waits; how many."""
    old = Alert.objects.filter(created_at__lt=(now or timezone.now()) - KEPT)
    old = old.exclude(deliveries__state=AlertDelivery.State.WAITING)
    ids = list(old.values_list("pk", flat=True)[:1000])
    Alert.objects.filter(pk__in=ids).delete()
    return len(ids)
