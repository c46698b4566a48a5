"""Processes that are alive say so in the database."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from autoloader.lib.database import DatabaseFault
from ingestions.models import Heartbeat
from ingestions.services.lease import process_name

logger = logging.getLogger(__name__)

#: a process that was silent for this long is gone; it beats every 10 s.
ALIVE_SECONDS = 30
FORGET_AFTER = timedelta(hours=1)


def beat(*, kind: str, detail: dict[str, Any] | None = None) -> None:
    now = timezone.now()
    changes = {"kind": kind, "beat_at": now, "detail": detail or {}}
    Heartbeat.objects.update_or_create(
        process=process_name(), defaults=changes, create_defaults={**changes, "started_at": now}
    )


def beat_for_ever(*, kind: str, seconds: float) -> None:
    """For a daemon thread: the database being away for a while does not end it."""
    while True:
        try:
            beat(kind=kind)
        except DatabaseFault as error:
            logger.warning("heartbeat not written", extra={"reason": str(error)})
            connection.close()
        time.sleep(seconds)


def alive(*, kind: str) -> int:
    """How many processes of this kind beat within the last 30 s."""
    return Heartbeat.objects.filter(kind=kind, beat_at__gte=timezone.now() - timedelta(seconds=ALIVE_SECONDS)).count()


def forget_dead() -> None:
    Heartbeat.objects.filter(beat_at__lt=timezone.now() - FORGET_AFTER).delete()
