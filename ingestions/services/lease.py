"""A worker's hold on a run: claimed by a conditional update, renewed by a thread, lost when another takes over."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from contextvars import copy_context
from datetime import timedelta
from types import TracebackType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from ingestions.models import Run, TableLease

logger = logging.getLogger(__name__)


def process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(*, run_id: str) -> Run | None:
    """Takes the run if nobody holds it; ``None`` where it has ended, waits, or is held. The row as claimed."""
    now = timezone.now()
    token = secrets.token_hex(16)
    claimed = (
        Run.objects.claimable(now)
        .filter(pk=run_id)
        .update(
            status=Run.Status.RUNNING,
            lease_token=token,
            lease_holder=process_name(),
            lease_expires_at=now + timedelta(seconds=settings.LEASE_SECONDS),
            slices=F("slices") + 1,
            takeovers=F("takeovers") + Case(When(lease_expires_at=None, then=Value(0)), default=Value(1)),
            started_at=Coalesce(F("started_at"), now),
            resume_at=None,
        )
    )
    if not claimed:
        return None
    return Run.objects.select_related("ingestion", "ingestion__cluster", "ingestion__credential").get(pk=run_id)


class LeaseKeeper:
    """Renews the lease of a run (and of the table it writes to) four times a lease, until closed or lost."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stop = threading.Event()
        # its lines in the log carry the run's ids as well
        within = copy_context()
        self._thread = threading.Thread(target=within.run, args=(self._keep,), name=f"lease-{run.pk}", daemon=True)
        self.lost = False

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=settings.LEASE_SECONDS)

    def _keep(self) -> None:
        try:
            while not self._stop.wait(settings.LEASE_SECONDS / 4):
                if not self._renew():
                    self.lost = True
                    logger.warning("lease lost")
                    return
        finally:
            connection.close()

    def _renew(self) -> bool:
        expires = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        try:
            TableLease.objects.filter(token=self._run.lease_token).update(expires_at=expires)
            mine = Run.objects.filter(pk=self._run.pk, lease_token=self._run.lease_token, status=Run.Status.RUNNING)
            return bool(mine.update(lease_expires_at=expires))
        except DatabaseError as error:
            # The database may be back before the lease runs out; every write of the run is fenced anyway.
            logger.warning("lease not renewed", extra={"reason": str(error)})
            connection.close()
            return True


def turn_take(*, run: Run, destination_key: str) -> bool:
    """Takes this run's turn at its table; ``False`` while another of our ingestions has it."""
    now = timezone.now()
    where: dict[str, Any] = {"cluster_id": run.ingestion.cluster_id, "destination_key": destination_key}
    TableLease.objects.get_or_create(**where)
    rows = TableLease.objects.filter(**where)
    free = rows.filter(expires_at=None) | rows.filter(expires_at__lt=now) | rows.filter(run=run)
    changes = {"run": run, "token": run.lease_token, "expires_at": now + timedelta(seconds=settings.LEASE_SECONDS)}
    return bool(TableLease.objects.filter(pk__in=free.values("pk")).update(**changes))


def turn_give_back(*, run: Run) -> None:
    TableLease.objects.filter(token=run.lease_token).update(run=None, token="", expires_at=None)
