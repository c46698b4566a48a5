"""Runs that nobody watches, and that failed by what may pass, are tried again after 1, 5 and 15 minutes.

The time stands in the failed run's own row. Any newer run takes its place, as it looks at the same files; so does a
person who pauses the ingestion.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from autoloader.lib.errors import AutoloaderError
from autoloader.lib.logs import log_context
from ingestions.models import Ingestion, Run
from ingestions.models.run import over
from ingestions.services.runs import run_start
from ingestions.services.schedules import SOUND

logger = logging.getLogger(__name__)


def retry_at(run: Run, error: AutoloaderError | None, now: datetime) -> datetime | None:
    """When a run that has failed now is tried again by itself; ``None`` where it is not: the error is of a class that
    will not pass, a person watches, or it was tried often enough."""
    waits = settings.RETRY_MINUTES
    if error is None or not error.retryable or not run.is_unattended or run.retry_number >= len(waits):
        return None
    active = Ingestion.objects.active().filter(pk=run.ingestion_id).exists()
    return now + timedelta(minutes=waits[run.retry_number]) if active else None


def retry_due(now: datetime) -> int:
    """Starts the retries that are due; how many."""
    farthest = timedelta(minutes=max(settings.RETRY_MINUTES, default=0)) + SOUND
    waiting = Run.objects.filter(over("retry_at", now, farthest), status=Run.Status.FAILED).order_by("retry_at")
    return sum(_retry(run) for run in waiting.select_related("ingestion"))


def _retry(run: Run) -> bool:
    """One of several schedulers gets it; nothing where the ingestion was paused or a run is active by now."""
    try:
        with transaction.atomic():
            ingestion = Ingestion.objects.select_for_update(no_key=True).filter(pk=run.ingestion_id).first()
            mine = Run.objects.filter(pk=run.pk, retry_at=run.retry_at)
            if ingestion is None or not mine.update(retry_at=None):
                return False
            if ingestion.status != Ingestion.Status.ACTIVE or Run.objects.active().filter(ingestion=ingestion).exists():
                return False
            again = run_start(
                ingestion=ingestion, trigger=Run.Trigger.RETRY, retry_of=run, retry_number=run.retry_number + 1
            )
    except IntegrityError:
        return False  # somebody started a run at this moment
    with log_context(run_id=str(again.pk), ingestion_id=str(run.ingestion_id)):
        logger.info("run tried again", extra={"retry": again.retry_number, "retry_of": str(run.pk)})
    return True
