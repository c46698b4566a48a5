"""From when on files are wanted (``schedule.start``), and letting in those from before."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from autoloader.lib.chunks import CHUNK
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import Cause, State
from ingestions.models import Ingestion, LedgerEntry


def start_of(ingestion: Ingestion, config: IngestionConfig) -> datetime | None:
    """Files modified before it are skipped; ``None``: all are wanted. Stores tell times by the second, so what came in
    the second in which only new files began to be wanted counts as new."""
    schedule = config.schedule
    if schedule.start == "new_only":
        return (ingestion.new_from or ingestion.created_at).replace(microsecond=0)
    if schedule.start == "from_date" or schedule.backfill.enabled:
        moment = schedule.backfill.start_date
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
    return None


def reopen(
    *,
    ingestion: Ingestion,
    modified_from: datetime | None = None,
    modified_to: datetime | None = None,
    prefix: str = "",
) -> int:
    """Lets files from before the start wait for the next run: those modified from ``modified_from`` on and before
    ``modified_to``, with addresses (``s3://bucket/in/2025/``) that begin with ``prefix``. How many. Only newest
    versions, and none that another rule or a person has skipped. A few thousand at a time: what is interrupted is
    called again.
    """
    rows = LedgerEntry.objects.filter(
        ingestion=ingestion,
        destination_key=ingestion.destination_key,
        state=State.SKIPPED,
        cause=Cause.BEFORE_START,
    ).newest()
    if modified_from is not None:
        rows = rows.filter(modified_at__gte=modified_from)
    if modified_to is not None:
        rows = rows.filter(modified_at__lt=modified_to)
    if prefix:
        rows = rows.filter(address__startswith=prefix)
    opened = after = 0
    while ids := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        after = ids[-1]
        with transaction.atomic():
            waiting = LedgerEntry.objects.filter(pk__in=ids, state=State.SKIPPED, cause=Cause.BEFORE_START)
            opened += waiting.update(
                state=State.DISCOVERED, reason="", cause="", run=None, state_changed_at=timezone.now()
            )
    return opened
