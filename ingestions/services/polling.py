"""Continuous ingestions: their sources are looked at every few seconds, and a run is opened when something is there.

A look that finds nothing writes no run and holds no worker. It lists as a run would, in a bounded pool of threads, and
stops at the first object that the ledger does not know. A run that has loaded everything stays open for a quiet minute:
what comes within it is loaded by the same run, so that there are minutes of runs and not thousands of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from autoloader.lib.database import DatabaseFault
from autoloader.lib.errors import AutoloaderError
from autoloader.lib.logs import log_context
from autoloader.lib.threads import DaemonThreads
from ingestions.engine.config import IngestionConfig
from ingestions.engine.discovery import Before, discover
from ingestions.engine.ledger import Known, NewEntry, Revision
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services import recording
from ingestions.services.discovering import audit_of, outlook
from ingestions.services.open_sources import OpenSources
from ingestions.services.runs import WAITING, RunActive, run_enqueue, run_start
from ingestions.services.starting import start_of

logger = logging.getLogger(__name__)

#: a look that has not ended after this is taken for lost with its process, and another one begins.
HOLD = timedelta(seconds=60)
#: looks that may fail in a row before a run is opened, which says what is wrong and tells whoever is to be told.
PATIENCE = 3
#: a look after a failed one, and one after runs that have failed, waits twice as long each time, up to this.
LONGEST_WAIT = timedelta(minutes=15)
FIRST_WAIT_AFTER_RUN = timedelta(minutes=1)
#: where objects come in a burst, the rest of it is waited for, once.
BURST_SECONDS = 0.3


class _Found(Exception):
    """Something is there that a run has to see; ``newest``: when it was modified."""

    def __init__(self, newest: datetime) -> None:
        super().__init__("found")
        self.newest = newest


class _Looker:
    """Takes what a listing would record, and ends it."""

    def __init__(self, row: Ingestion) -> None:
        self._ledger = LedgerEntry.objects.filter(ingestion=row, destination_key=row.destination_key)

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        return recording.known(self._ledger, addresses)

    def record(self, entries: Sequence[NewEntry]) -> int:
        raise _Found(max(entry.file.modified_at for entry in entries))

    def revise(self, revisions: Sequence[Revision]) -> int:
        raise _Found(timezone.now() - HOLD)


class Poller:
    """``look`` is a step of a scheduler: it hands the looks that are due to its threads and waits for none of them."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = DaemonThreads(threads or settings.POLL_THREADS, "poll", lambda: connection.close())
        self._sources = OpenSources()

    def look(self, now: datetime) -> int:
        """How many looks were begun. Those for which there is no thread stay due."""
        begun = 0
        for row in _due(now)[: self._threads.free]:
            mine = Ingestion.objects.active().filter(pk=row.pk, next_poll_at=row.next_poll_at)
            if mine.update(next_poll_at=now + HOLD):
                begun += self._threads.submit(partial(self._look, row, now))
        return begun

    def wait(self, seconds: float = 60) -> bool:
        """For the looks that were begun."""
        return self._threads.wait(seconds)

    def close(self, seconds: float = 0) -> None:
        """Waits so long for looks that are under way."""
        self._threads.close(seconds)
        self._sources.close()

    def _look(self, row: Ingestion, began: datetime) -> None:
        with log_context(ingestion_id=str(row.pk)):
            try:
                self._look_and_tell(row, began)
            except DatabaseFault as error:
                logger.warning("the database is away", extra={"reason": str(error)})
                connection.close()
            except Exception:
                logger.exception("a look at a source failed by a fault of our own")

    def _look_and_tell(self, row: Ingestion, began: datetime) -> None:
        if (until := _held_until(row, began)) is not None:
            _looked(row, until)
            return
        try:
            config = row.configuration()
            every = timedelta(seconds=config.schedule.poll_seconds)
            if self._is_wanted(row, config):
                _open_run(row)
        except AutoloaderError as error:
            self._sources.drop(row)
            _failed(row, error, began)
        else:
            _looked(row, max(began + every, timezone.now()), last_polled_at=began, poll_failures=0, poll_note="")

    def _is_wanted(self, row: Ingestion, config: IngestionConfig) -> bool:
        """Whether a run has something to do: where a listing of everything is wanted its result is to be kept."""
        listing = outlook(row, config)
        if listing.memory is None or listing.next.mode == "audit" or _waits(row):
            return True
        return self._has_news(row, config, Before(listing.memory, audit_of(config)))

    def _has_news(self, row: Ingestion, config: IngestionConfig, before: Before) -> bool:
        try:
            discover(
                self._sources.of(row, config),
                _Looker(row),
                config.source,
                overwritten=config.format.overwritten,
                now=timezone.now,
                before=before,
                start=start_of(row, config),
            )
        except _Found as found:
            if timedelta(0) <= timezone.now() - found.newest < timedelta(seconds=2 * BURST_SECONDS):
                time.sleep(BURST_SECONDS)
            return True
        return False


def _due(now: datetime) -> Any:
    """Not those of which a run is at work: it will list anew, or end."""
    busy = Run.objects.active().filter(ingestion=OuterRef("pk")).exclude(pk__in=Run.objects.idle().values("pk"))
    return Ingestion.objects.to_poll(now).exclude(Exists(busy)).select_related("credential")


def _waits(row: Ingestion) -> bool:
    """Files that a run has left behind: one that was cancelled, or failed, or a file that somebody retries."""
    waiting = LedgerEntry.objects.filter(ingestion=row, destination_key=row.destination_key, state="DISCOVERED")
    return waiting.undecided(False).exists()


def _held_until(row: Ingestion, now: datetime) -> datetime | None:
    """After a run that failed the next one waits: for its own retry, else longer each time."""
    runs = Run.objects.filter(ingestion=row).order_by("-queued_at", "-pk")
    last = list(runs.only("status", "ended_at", "retry_at")[:8])
    if not last or last[0].status != Run.Status.FAILED or last[0].ended_at is None:
        return None
    if last[0].retry_at is not None:
        return last[0].retry_at + timedelta(seconds=1)
    failed = next((at for at, run in enumerate(last) if run.status != Run.Status.FAILED), len(last))
    until = last[0].ended_at + min(FIRST_WAIT_AFTER_RUN * 2 ** (failed - 1), LONGEST_WAIT)
    return until if until > now else None


def _looked(row: Ingestion, next_at: datetime, **values: Any) -> None:
    """An edit or a pause in between has set another time, or none."""
    Ingestion.objects.filter(pk=row.pk, config_version=row.config_version).exclude(next_poll_at=None).update(
        next_poll_at=next_at, **values
    )


def _failed(row: Ingestion, error: AutoloaderError, began: datetime) -> None:
    failures = row.poll_failures + 1
    logger.info("a look at a source failed", extra={"code": error.code, "reason": error.message, "failures": failures})
    if failures >= PATIENCE:
        _open_run(row)  # it meets the same, and ends with it
    every = timedelta(seconds=int(row.config["schedule"].get("poll_seconds", 5)))
    wait = min(every * 2 ** min(failures, 20), LONGEST_WAIT)
    note = f"{error.message} {error.hint}"[:500]
    _looked(row, began + wait, last_polled_at=began, poll_failures=failures, poll_note=note)


def _open_run(row: Ingestion) -> None:
    """Goes on with the run that is still open, else begins one; nothing where somebody else has just done so."""
    now = timezone.now()
    with transaction.atomic():
        idle = Run.objects.idle().filter(ingestion=row).first()
        if idle is not None:
            mine = Run.objects.idle().filter(pk=idle.pk, cancel_requested_at=None)
            if mine.update(idle_since=None, resume_at=None, phase=WAITING, enqueued_at=now):
                run_enqueue(run=idle)
            return
    try:
        with transaction.atomic():
            wanted = Ingestion.objects.active().filter(pk=row.pk).exclude(next_poll_at=None)
            if wanted.select_for_update(no_key=True).exists():
                run_start(ingestion=row, trigger=Run.Trigger.CONTINUOUS)
    except RunActive:
        pass
