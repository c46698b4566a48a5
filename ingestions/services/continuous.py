"""Which runs stay open when they have loaded all there was."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from ingestions.models import Ingestion, Run


def may_stay_open(run: Run, now: datetime) -> bool:
    """A continuous run, whose ingestion is as it was when the run began, that has not gone on for too long and has not
    failed to load every file it has met (that is told at once)."""
    if run.trigger != Run.Trigger.CONTINUOUS or run.started_at is None:
        return False
    if now - run.started_at >= timedelta(seconds=settings.CONTINUOUS_RUN_SECONDS):
        return False
    stands = Run.objects.values("files_failed", "files_loaded", "files_held").get(pk=run.pk)
    if stands["files_failed"] and not stands["files_loaded"] and not stands["files_held"]:
        return False
    polled = Ingestion.objects.active().filter(pk=run.ingestion_id).exclude(next_poll_at=None)
    return bool(polled.values_list("config", flat=True).first() == run.config)
