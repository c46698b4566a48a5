"""When people are told of unattended runs. What is to be told is written in the transaction that makes it true, and
delivered afterwards (:mod:`ingestions.services.alert_delivery`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from autoloader.lib.errors import ConfigError, ConflictError
from ingestions.engine import recipients
from ingestions.models import Alert, AlertDelivery, Ingestion, Run, Trouble
from ingestions.models.run import over
from ingestions.notify.message import Facts
from ingestions.services.outcome import TABLE_GONE

Kind = Alert.Kind

#: between what was told of a row of failures and the next: once this long, then always that long.
FIRST_REMINDER = timedelta(hours=1)
NEXT_REMINDERS = timedelta(days=1)
#: files that are set aside are told no more often; what comes in between is told together.
ASIDE_EVERY = timedelta(hours=1)
#: tests of one ingestion's alerts are no closer to each other.
TEST_EVERY = timedelta(seconds=10)


def told(ingestion: Ingestion) -> list[str]:
    """Who is told of its runs; nobody where alerts are off."""
    return ingestion.alert_recipients if ingestion.alerts_enabled else []


# ---- a run ends


def run_ended(*, run_id: uuid.UUID, now: datetime) -> None:
    """Called once for each run that ends, inside the transaction that ends it. A failure counts if nobody was there;
    that things go well again counts whoever has seen to it; a run that was cancelled says nothing of either.
    """
    run = Run.objects.select_related("ingestion").get(pk=run_id)
    failed = run.status == Run.Status.FAILED
    partial = run.status == Run.Status.PARTIAL
    if not failed and not partial and run.status != Run.Status.SUCCESS:
        return
    if run.is_unattended and (failed or partial):
        Trouble.objects.get_or_create(ingestion=run.ingestion)
    trouble = Trouble.objects.select_for_update().filter(ingestion=run.ingestion).first()
    if trouble is None:
        return
    if failed and run.is_unattended:
        _failed(trouble, run, now)
    if not failed:
        _worked(trouble, run, now)
    if partial and run.is_unattended:
        _set_aside(trouble, run, now)
    trouble.save()


def _failed(trouble: Trouble, run: Run, now: datetime) -> None:
    if trouble.incident is None:
        trouble.incident, trouble.failing_since, trouble.failed_runs = uuid.uuid4(), now, 0
    trouble.failed_runs += 1
    trouble.last_run = run
    if trouble.told_at is None and told(run.ingestion):
        _tell_failing(Kind.FAILED, trouble, run.ingestion, now, FIRST_REMINDER)


def _worked(trouble: Trouble, run: Run, now: datetime) -> None:
    if trouble.told_at is not None:  # who never heard of it is not told that it is over
        _tell(Kind.RECOVERED, run.ingestion, run, _facts(run.ingestion, run, trouble), now, trouble.incident)
    trouble.incident = trouble.failing_since = trouble.told_at = trouble.remind_at = trouble.last_run = None
    trouble.failed_runs = trouble.told_runs = 0


def _set_aside(trouble: Trouble, run: Run, now: datetime) -> None:
    trouble.aside_runs += 1
    trouble.aside_files += run.files_failed
    trouble.held_files += run.files_held
    trouble.aside_run = run
    if not (trouble.aside_told_at and trouble.aside_told_at <= now < trouble.aside_told_at + ASIDE_EVERY):
        _tell_set_aside(trouble, run.ingestion, now)


# ---- as time goes by


def remind(*, now: datetime | None = None) -> int:
    """Tells of what goes on failing, and of files set aside since this was last told. Any number of processes may do
    this at once; how many alerts came of it. Those of paused ingestions are left alone.
    """
    now = now or timezone.now()
    longest = 2 * NEXT_REMINDERS
    again = over("remind_at", now, longest) & Q(failed_runs__gt=F("told_runs"))
    silent = Q(incident__isnull=False) & (again | over("told_at", now - NEXT_REMINDERS, longest))
    aside = Q(aside_runs__gt=0) & (Q(aside_told_at=None) | over("aside_told_at", now - ASIDE_EVERY, longest))
    rows = Trouble.objects.exclude(ingestion__status=Ingestion.Status.PAUSED)
    found = list(rows.filter(silent | aside).values_list("pk", flat=True)[:1000])
    return sum(_remind(pk, silent, aside, now) for pk in found)


def _remind(pk: int, silent: Q, aside: Q, now: datetime) -> int:
    """Looks again under the row's lock: another process may have told it meanwhile."""
    with transaction.atomic():
        rows = Trouble.objects.select_for_update(of=("self",)).filter(pk=pk)
        row = rows.select_related("ingestion").first()
        if row is None or not told(row.ingestion):
            return 0
        count = 0
        if row.told_at is not None and Trouble.objects.filter(silent, pk=pk).exists():
            _tell_failing(Kind.STILL_FAILING, row, row.ingestion, now, NEXT_REMINDERS)
            count += 1
        if Trouble.objects.filter(aside, pk=pk).exists():
            _tell_set_aside(row, row.ingestion, now)
            count += 1
        row.save()
    return count


# ---- the outbox


def _tell_failing(kind: str, trouble: Trouble, ingestion: Ingestion, now: datetime, again: timedelta) -> None:
    run = trouble.last_run
    trouble.told_at, trouble.told_runs, trouble.remind_at = now, trouble.failed_runs, now + again
    _tell(kind, ingestion, run, _facts(ingestion, run, trouble), now, trouble.incident)


def _tell_set_aside(trouble: Trouble, ingestion: Ingestion, now: datetime) -> None:
    """Where nobody is told, it is not kept for somebody who will be."""
    run = trouble.aside_run
    facts = _facts(
        ingestion, run, aside_runs=trouble.aside_runs, aside_files=trouble.aside_files, held_files=trouble.held_files
    )
    trouble.aside_runs = trouble.aside_files = trouble.held_files = 0
    trouble.aside_run, trouble.aside_told_at = None, now
    _tell(Kind.SET_ASIDE, ingestion, run, facts, now, None)


def _facts(ingestion: Ingestion, run: Run | None, trouble: Trouble | None = None, **more: Any) -> dict[str, Any]:
    if trouble is not None and trouble.failing_since:
        more.update(failing_since=_iso(trouble.failing_since), failed_runs=trouble.failed_runs)
    facts = Facts(
        ingestion={
            "id": str(ingestion.pk),
            "name": ingestion.name,
            "table": ingestion.destination_key,
            "status": ingestion.status,
        },
        run=_run(run),
        next_run_at=_iso(ingestion.next_run_at),
        lost=run.hint if run is not None and run.hint.startswith(TABLE_GONE) else "",
        **more,
    )
    return vars(facts)


def _run(run: Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    return {
        "id": str(run.pk),
        "status": run.status,
        "trigger": run.trigger,
        "ended_at": _iso(run.ended_at),
        "error_code": run.error_code,
        "error_message": run.error_message,
        "error_hint": run.error_hint,
        "retry_at": _iso(run.retry_at),
        "files_loaded": run.files_loaded,
        "files_failed": run.files_failed,
        "files_held": run.files_held,
        "rows": run.rows_done,
    }


def _iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _tell(
    kind: str,
    ingestion: Ingestion,
    run: Run | None,
    facts: dict[str, Any],
    now: datetime,
    incident: uuid.UUID | None,
    to: Sequence[str] | None = None,
) -> Alert | None:
    """Puts it into the outbox; nothing where nobody is told. What still waits for the same recipients is tried at the
    same time: it was said first."""
    to = told(ingestion) if to is None else to
    if not to:
        return None
    alert = Alert.objects.create(
        ingestion=ingestion, run=run, kind=kind, incident=incident or uuid.uuid4(), facts=facts, created_at=now
    )
    AlertDelivery.objects.filter(
        alert__ingestion=ingestion, recipient__in=to, state=AlertDelivery.State.WAITING, next_try_at__gt=now
    ).update(next_try_at=now)
    AlertDelivery.objects.bulk_create(_delivery(alert, recipient, now) for recipient in to)
    return alert


def _delivery(alert: Alert, recipient: str, now: datetime) -> AlertDelivery:
    hook = recipients.is_webhook(recipient)
    return AlertDelivery(
        alert=alert,
        channel=AlertDelivery.Channel.WEBHOOK if hook else AlertDelivery.Channel.EMAIL,
        recipient=recipient,
        server=recipients.host(recipient) if hook else "mail",
        next_try_at=now,
    )


# ---- what people ask for


def alert_test(*, ingestion: Ingestion, now: datetime | None = None) -> Alert:
    """A test to all recipients, whether alerts are on or not; tried once. ConfigError where there is no recipient,
    ConflictError right after another test."""
    now = now or timezone.now()
    to = ingestion.alert_recipients
    if not to:
        raise ConfigError(
            "no_recipient",
            f"The alerts of {ingestion.name!r} have no recipient.",
            "Add e-mail addresses or https:// addresses to quality.alert_recipients.",
            field="quality.alert_recipients",
        )
    with transaction.atomic():
        Ingestion.objects.select_for_update().get(pk=ingestion.pk)
        last = Alert.objects.filter(ingestion=ingestion, kind=Kind.TEST).first()
        if last is not None and last.created_at <= now < last.created_at + TEST_EVERY:
            raise ConflictError("test_too_soon", "The last test was sent a moment ago.", "Wait for ten seconds.")
        alert = _tell(Kind.TEST, ingestion, None, _facts(ingestion, None), now, None, to)
    assert alert is not None
    return alert


def alert_retry(*, alert: Alert, now: datetime | None = None) -> int:
    """Tries again what of it was not delivered, at once and from the first wait on; how many deliveries. ConflictError
    where all of it was delivered."""
    count = _again(alert.deliveries.exclude(state=AlertDelivery.State.DELIVERED), now)
    if not count:
        raise ConflictError("nothing_to_retry", "The alert was delivered to everybody.", "Send a test to try the way.")
    return count


def delivery_again(*, delivery: AlertDelivery, now: datetime | None = None) -> None:
    """Sends it once more, also where it was delivered; its id stays, so a receiver may know it already."""
    _again(AlertDelivery.objects.filter(pk=delivery.pk), now)


def _again(rows: QuerySet[AlertDelivery], now: datetime | None) -> int:
    now = now or timezone.now()
    waiting = AlertDelivery.State.WAITING
    return rows.update(state=waiting, next_try_at=now, trying_since=None, tries=0, ended_at=None)
