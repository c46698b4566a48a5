"""A refresh that was begun, done to its end: drop the table, bring the ledger in line, then say that it is over.

``Ingestion.refresh_mode`` is set before the first step and cleared with the last. Each step looks before it acts, so
whoever finds it set (the same call again, or the next run, before it lists anything) goes through all of them again.
All of it happens under the table's turn: no run of ours writes meanwhile, and of two refreshes one waits.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from autoloader.lib.chunks import CHUNK
from autoloader.lib.errors import AutoloaderError, ConflictError, TransientError
from clusters import sessions
from ingestions.engine.ledger import State
from ingestions.engine.loader.base import DROP_TAG, TableLoader
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Listing
from ingestions.models.ledger import LedgerQuerySet
from ingestions.services.lease import Turn
from ingestions.services.questions import Questions
from ingestions.services.table import table_open

logger = logging.getLogger(__name__)

FULL, NEW_ONLY = "full", "new_only"
DROPPED, CLEARED, TRIGGERED = "table_dropped", "processed_files_cleared", "run_triggered"
SUPERSEDED = "its rows were dropped with the table by a refresh of only new files; this version is not loaded again"
_HOLDER = "refresh"


class TurnBusy(TransientError):
    """A run of ours, or another refresh, has the table's turn; it passes."""


@dataclass
class Operation:
    operation: str
    status: str  # success, failed, skipped
    details: str = ""
    error: AutoloaderError | None = None
    at: datetime = field(default_factory=timezone.now)


@dataclass
class Report:
    """The operations so far; a step that fails is noted, and its error goes on."""

    operations: list[Operation] = field(default_factory=list)

    def step(self, name: str, work: Callable[[], tuple[str, str]]) -> None:
        """``work`` gives back the status and what was done."""
        try:
            status, details = work()
        except (AutoloaderError, DatabaseError) as error:
            self.failed(name, error)
            raise
        self.operations.append(Operation(name, status, details))

    def failed(self, name: str, error: Exception) -> None:
        if not isinstance(error, AutoloaderError):
            error = TransientError("database_away", "The database did not answer.", "The next run goes on from here.")
        self.operations.append(Operation(name, "failed", error=error))

    def done(self, name: str) -> bool:
        return any(each.operation == name and each.status != "failed" for each in self.operations)


def begun(ingestion: Ingestion) -> str:
    """The mode of the refresh that was begun and not ended, as the database has it now; empty for none."""
    mode: str = Ingestion.objects.values_list("refresh_mode", flat=True).get(pk=ingestion.pk)
    return mode


def refresh_finish(*, ingestion: Ingestion, report: Report, last: Callable[[], None] = lambda: None) -> None:
    """Does what is left of the refresh that was begun. ``last`` is done in the transaction that ends it.

    Raises TurnBusy, ConflictError (the table holds what is not ours), or what Spark says.
    """
    with table_turn(ingestion=ingestion) as (loader, turn):
        mode = begun(ingestion)
        report.step(DROPPED, lambda: _drop(ingestion, loader) if mode else ("success", "a run has done it meanwhile"))
        _give_back_open_batch(ingestion, turn)
        if mode == NEW_ONLY:
            _supersede(ingestion, turn)
        else:
            report.step(CLEARED, lambda: _forget(ingestion, turn) if mode else ("success", "a run has done it"))
        with turn.fenced():
            Ingestion.objects.filter(pk=ingestion.pk).update(
                refresh_mode="", created_table=False, files_loaded=0, rows_loaded=0, bytes_loaded=0
            )
            last()
    logger.info("refreshed", extra={"ingestion_id": str(ingestion.pk), "mode": mode})


@contextmanager
def table_turn(*, ingestion: Ingestion) -> Iterator[tuple[TableLoader, Turn]]:
    """The table's loader and its turn. The turn's token names the session, so that whoever follows a dead holder can
    end what it left running: a drop that comes late would take the new table.
    """
    with table_open(ingestion=ingestion) as loader:
        token = f"{_HOLDER} {loader.session_id} {secrets.token_hex(4)}"
        turn = Turn(cluster_id=ingestion.cluster_id, destination_key=ingestion.destination_key, token=token)
        if not turn.take():
            raise TurnBusy(
                "turn_taken",
                f"Another run or refresh is working on {ingestion.destination_key}.",
                "Wait until it has ended, then ask again.",
            )
        with turn:
            holder, _, rest = turn.predecessor.partition(" ")
            if holder == _HOLDER:
                sessions.interrupt(sessions.target_of(ingestion.cluster), rest.partition(" ")[0], DROP_TAG)
            yield loader, turn


def refuse_what_is_not_ours(ingestion: Ingestion, loader: TableLoader) -> int | None:
    """Rows of the table, ``None`` where there is none. ConflictError for a table that the ingestion did not create, or
    that holds rows it did not write.
    """
    table = loader.state()
    if table is None:
        return None
    name = ingestion.destination_key
    if not (ingestion.created_table or loader.made_here()):  # its creation may not have been written down
        raise ConflictError(
            "table_not_ours",
            f"The table {name} was there before this ingestion; it holds {table.rows or 0:,} rows.",
            "Drop it on the cluster if you are sure, or choose another table.",
        )
    counts = loader.rows_by_batch()
    mine = Batch.objects.filter(ingestion=ingestion, destination_key=name).values_list("pk", flat=True)
    ours = {str(pk) for pk in mine}
    if foreign := sum(rows for batch, rows in counts.items() if batch not in ours):
        raise ConflictError(
            "foreign_rows",
            f"The table {name} holds {foreign:,} rows that this ingestion did not write.",
            "Move them to another table first, or drop the table on the cluster if you are sure.",
        )
    return sum(counts.values())


# ---- the steps


def _ledger(ingestion: Ingestion) -> LedgerQuerySet:
    return LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)


def _attempts(ingestion: Ingestion) -> Any:
    return Attempt.objects.filter(batch__ingestion=ingestion, batch__destination_key=ingestion.destination_key)


def _drop(ingestion: Ingestion, loader: TableLoader) -> tuple[str, str]:
    rows = refuse_what_is_not_ours(ingestion, loader)
    if rows is None:
        return "skipped", f"there is no table {ingestion.destination_key}"
    target = sessions.target_of(ingestion.cluster)
    for attempt in _attempts(ingestion).filter(state=Attempt.State.OPEN):
        sessions.interrupt(target, attempt.session_id, attempt.tag)  # what commits late would bring the table back
    loader.drop_table()
    return "success", f"{ingestion.destination_key} with {rows:,} rows"


def _give_back_open_batch(ingestion: Ingestion, turn: Turn) -> None:
    """Nothing of it can be published any more: its branch went with the table."""
    now = timezone.now()
    _chunks(
        turn,
        _ledger(ingestion).filter(state=State.CLAIMED),
        lambda rows: rows.update(state=State.DISCOVERED, batch=None, run=None, state_changed_at=now),
    )
    with turn.fenced():
        mine = Batch.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
        mine.filter(state=Batch.State.OPEN).update(state=Batch.State.RELEASED, ended_at=now)
        mine.filter(separated=True).update(separated=False)
        attempts = _attempts(ingestion)
        attempts.filter(state=Attempt.State.OPEN).update(
            state=Attempt.State.ENDED, outcome="the table was dropped by a refresh", ended_at=now
        )
        attempts.filter(swept_at=None).update(swept_at=now)
        Questions(ingestion.pk, ingestion.destination_key, None, now).withdraw()  # the table is made anew


def _forget(ingestion: Ingestion, turn: Turn) -> tuple[str, str]:
    Listing.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key).delete()
    count = _chunks(turn, _ledger(ingestion), lambda rows: rows.delete())
    return "success", f"{count:,} entries of the ledger"


def _supersede(ingestion: Ingestion, turn: Turn) -> None:
    now = timezone.now()
    _chunks(
        turn,
        _ledger(ingestion).filter(state__in=[State.LOADED, State.QUARANTINED]),
        lambda rows: rows.update(
            state=State.SUPERSEDED, reason=SUPERSEDED, quarantine_batch=None, state_changed_at=now
        ),
    )


def _chunks(turn: Turn, rows: LedgerQuerySet, change: Callable[[LedgerQuerySet], object]) -> int:
    """Changes the rows a few thousand at a time, each time under the turn; they must not be found again after it."""
    count = 0
    while True:
        with turn.fenced():
            ids = list(rows.order_by("id").values_list("pk", flat=True)[:CHUNK])
            if not ids:
                return count
            change(LedgerEntry.objects.filter(pk__in=ids))
            count += len(ids)
