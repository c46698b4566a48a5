"""From when on files are wanted (``schedule.start``), and letting in those from before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from django.utils import timezone

from autoloader.lib.chunks import chunks
from ingestions.engine.backfill import CAUSES_OF_TIME, Range
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import State
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
    *, ingestion: Ingestion, destination_key: str, wanted: Range, fence: Callable[[], object] = lambda: None
) -> int:
    """Lets files of a range that were skipped for their time only wait for the next run; how many. Only newest
    versions, and none that another rule or a person has skipped. Some at a time, each behind a ``fence``: what is
    interrupted is called again.
    """
    rows = LedgerEntry.objects.filter(
        ingestion=ingestion, destination_key=destination_key, state=State.SKIPPED, cause__in=CAUSES_OF_TIME
    ).newest()
    if wanted.modified_after is not None:
        rows = rows.filter(modified_at__gte=wanted.modified_after)
    if wanted.modified_before is not None:
        rows = rows.filter(modified_at__lt=wanted.modified_before)
    found = rows.order_by("pk").values_list("pk", "address").iterator()
    meant = [pk for pk, address in found if address.startswith(wanted.prefix or "")]  # SQLite's LIKE knows no case
    opened = 0
    for some in chunks(meant):
        fence()
        waiting = LedgerEntry.objects.filter(pk__in=some, state=State.SKIPPED, cause__in=CAUSES_OF_TIME)
        opened += waiting.update(
            state=State.DISCOVERED, reason="", cause="", error_code="", shape=None, run=None,
            state_changed_at=timezone.now(),
        )  # fmt: skip
    return opened
