"""A worker's hold on a run: claimed by a conditional update, renewed by a thread, lost when another takes over."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from autoloader.lib.database import DatabaseFault
from autoloader.lib.errors import LeaseLost
from ingestions.models import Run, TableLease
from ingestions.models.run import lease_over
from ingestions.services.places import wait_for_place, wish

logger = logging.getLogger(__name__)


def process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(*, run_id: str) -> Run | None:
    """Takes the run if nobody holds it; ``None`` where it has ended, waits, is held, or has to wait for a place under a
    limit. The row as claimed."""
    now = timezone.now()
    wanted = wish(run_id)
    if not wanted.is_bounded:
        return _claim(run_id, now)
    with transaction.atomic():
        wanted.locked()
        if not Run.objects.claimable(now).filter(pk=run_id).exists():
            return None
        if (full := wanted.refused(now)) is not None:
            wait_for_place(run_id=run_id, full=full, now=now)
            return None
        return _claim(run_id, now)


def _claim(run_id: str, now: datetime) -> Run | None:
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
            place_since=None,
        )
    )
    if not claimed:
        return None
    return Run.objects.select_related("ingestion", "ingestion__cluster", "ingestion__credential").get(pk=run_id)


class Keeper(ABC):
    """Renews a hold four times a lease, in a thread, until it is closed or lost."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        # its lines in the log carry the run's ids as well
        within = copy_context()
        self._thread = threading.Thread(target=within.run, args=(self._keep,), name=name[:60], daemon=True)
        self.lost = False

    def __enter__(self) -> Self:
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
                if not self._renewed():
                    self.lost = True
                    logger.warning("lease lost")
                    return
        finally:
            connection.close()

    def _renewed(self) -> bool:
        try:
            return self.renew()
        except DatabaseFault as error:
            # The database may be back before the lease runs out; every write under it is fenced anyway.
            logger.warning("lease not renewed", extra={"reason": str(error)})
            connection.close()
            return True

    @abstractmethod
    def renew(self) -> bool:
        """``False`` where somebody else has it by now."""


class LeaseKeeper(Keeper):
    """Of a run, and of the table it writes to."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"lease-{run.pk}")
        self._run = run

    def renew(self) -> bool:
        expires = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        TableLease.objects.filter(token=self._run.lease_token).update(expires_at=expires)
        mine = Run.objects.filter(pk=self._run.pk, lease_token=self._run.lease_token, status=Run.Status.RUNNING)
        return bool(mine.update(lease_expires_at=expires))


class Turn(Keeper):
    """A turn at a table that is no run's. Whoever takes over from a dead holder finds its token in ``predecessor``."""

    def __init__(self, *, cluster_id: Any, destination_key: str, token: str) -> None:
        super().__init__(f"turn-{token}")
        self._where = {"cluster_id": cluster_id, "destination_key": destination_key}
        self._token = token
        self.predecessor = ""

    def take(self) -> bool:
        """``False`` while somebody else has the turn."""
        earlier = TableLease.objects.filter(**self._where).first()
        self.predecessor = earlier.token if earlier is not None else ""
        return _turn_take(**self._where, token=self._token, run=None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        TableLease.objects.filter(token=self._token).update(run=None, token="", expires_at=None)

    def renew(self) -> bool:
        expires = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        return bool(TableLease.objects.filter(**self._where, token=self._token).update(expires_at=expires))

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction that begins with the proof that the turn is still ours, and renews it by that."""
        with transaction.atomic():
            if not self.renew():
                raise LeaseLost("turn_lost", f"The turn at {self._where['destination_key']} is somebody else's now.")
            yield


def turn_take(*, run: Run, destination_key: str) -> bool:
    """Takes this run's turn at its table; ``False`` while somebody else of ours has it."""
    return _turn_take(
        cluster_id=run.ingestion.cluster_id, destination_key=destination_key, token=run.lease_token, run=run
    )


def _turn_take(*, cluster_id: Any, destination_key: str, token: str, run: Run | None) -> bool:
    now = timezone.now()
    where: dict[str, Any] = {"cluster_id": cluster_id, "destination_key": destination_key}
    TableLease.objects.get_or_create(**where)
    rows = TableLease.objects.filter(**where)
    free = rows.filter(Q(expires_at=None) | lease_over("expires_at", now))
    if run is not None:
        free |= rows.filter(run=run)
    changes = {"run": run, "token": token, "expires_at": now + timedelta(seconds=settings.LEASE_SECONDS)}
    return bool(TableLease.objects.filter(pk__in=free.values("pk")).update(**changes))


def turn_give_back(*, run: Run) -> None:
    TableLease.objects.filter(token=run.lease_token).update(run=None, token="", expires_at=None)
