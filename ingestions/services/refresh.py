"""The verbs that drop an ingestion's table: refresh in full, refresh with new files only, delete with the table.

Everything is looked at first, and refused before anything is changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from autoloader.lib.bounded import Bounded, Busy
from autoloader.lib.errors import AutoloaderError, ConflictError, DeadlineError, RunStopped
from ingestions.models import Ingestion, Run
from ingestions.services import present
from ingestions.services.ingestions import ingestion_delete
from ingestions.services.refresh_impact import Impact, impact
from ingestions.services.refresh_work import (
    CLEARED,
    DROPPED,
    FULL,
    TRIGGERED,
    Operation,
    Report,
    begun,
    refresh_finish,
    refuse_what_is_not_ours,
)
from ingestions.services.runs import RunActive, run_start, runs_close_idle
from ingestions.services.table import table_open

T = TypeVar("T")
#: as the paths and the command name them.
NAMES = {"full": "full", "new_only": "new-only"}


@dataclass
class Refresh:
    """How a refresh stands; ``to_json`` is the REST answer."""

    ingestion: Ingestion
    mode: str
    impact: Impact
    table_rows: int | None
    status: str = "accepted"
    run: Run | None = None
    report: Report = field(default_factory=Report)
    notes: list[str] = field(default_factory=list)
    would_perform: list[str] = field(default_factory=list)
    #: whether this call began it; else an earlier one did, and may have come some way.
    begun_now: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "message": _message(self),
            "ingestion_id": str(self.ingestion.pk),
            "run_id": str(self.run.pk) if self.run else None,
            "timestamp": present.instant(timezone.now()),
            "mode": self.mode,
            "operations": [_operation(each) for each in self.report.operations],
            "impact": self.impact.to_json(),
            "warnings": _warnings(self),
            "notes": [*self.notes, *self.impact.notes],
            "would_perform": [{"operation": name} for name in self.would_perform],
            "next_steps": _next_steps(self),
        }


def ingestion_refresh(
    *,
    ingestion: Ingestion,
    mode: str,
    user: Any = None,
    auto_run: bool = True,
    dry_run: bool = False,
    accept_loss: bool = False,
    bounded: Bounded | None = None,
) -> Refresh:
    """``full`` drops the table, forgets the loaded files and loads all again; ``new_only`` drops the table, keeps the
    memory and loads only what was not seen before. ``bounded`` limits how long and how many at once.

    Raises ConflictError (an active run, a table or rows that are not ours, files that would be lost), what the source
    and Spark say while they are looked at, Busy and DeadlineError; nothing was changed then. What fails later is told
    in the outcome, and going on from there is what the same call, or the next run, does.
    """
    _refuse_busy(ingestion, mode)
    found, rows = _bounded(bounded, partial(_look, ingestion, mode, _patience(bounded)))
    if found.lost and not accept_loss:
        raise ConflictError(
            "files_gone",
            f"Of the files once loaded {found.lost:,} would not be loaded again: gone from the source, or not meant by "
            f"the configuration any more: {', '.join(found.examples)}"
            f"{' and more' if found.lost > len(found.examples) else ''}.",
            "Bring them back first, or accept that their rows are lost (accept_loss).",
        )
    outcome = Refresh(ingestion, mode, found, rows)
    if dry_run:
        outcome.status = "dry_run"
        outcome.would_perform = [DROPPED, *([CLEARED] if mode == FULL else []), *([TRIGGERED] if auto_run else [])]
        return outcome
    outcome.begun_now = _begin(ingestion, mode)
    _perform(outcome, user=user, auto_run=auto_run, bounded=bounded)
    return outcome


def ingestion_delete_with_table(*, ingestion: Ingestion, bounded: Bounded | None = None) -> None:
    """Drops the table, then forgets the ingestion, its runs and its ledger. The refusals are those of a refresh; a
    table that is not there is dropped already. Where it ends in between, the next run would load everything again.
    """
    _refuse_busy(ingestion, FULL)
    _bounded(bounded, partial(_look_at_table, ingestion))
    begun_now = _begin(ingestion, FULL)
    report = Report()
    try:
        _bounded(bounded, partial(refresh_finish, ingestion=ingestion, report=report))
    except (AutoloaderError, DatabaseError) as error:
        if begun_now:
            _take_back_where_nothing_happened(ingestion, report, error)
        raise
    ingestion_delete(ingestion=ingestion)


# ---- before anything is changed


def _refuse_busy(ingestion: Ingestion, mode: str) -> None:
    runs_close_idle(ingestions=[ingestion])
    active = Run.objects.active().filter(ingestion=ingestion).first()
    if active is not None:
        raise RunActive(ingestion, str(active.pk))
    before = begun(ingestion)
    if before not in ("", mode):
        raise ConflictError(
            "refresh_begun",
            f"A refresh of {ingestion.name!r} ({NAMES[before]}) was begun and has not ended.",
            "Start a run, which finishes it first, or ask for the same refresh again.",
        )


def _look(ingestion: Ingestion, mode: str, should_stop: Callable[[], bool]) -> tuple[Impact, int | None]:
    return impact(ingestion=ingestion, mode=mode, should_stop=should_stop), _look_at_table(ingestion)


def _look_at_table(ingestion: Ingestion) -> int | None:
    with table_open(ingestion=ingestion) as loader:
        return refuse_what_is_not_ours(ingestion, loader)


def _patience(bounded: Bounded | None) -> Callable[[], bool]:
    """For a listing that nobody waits for any more."""
    if bounded is None:
        return lambda: False
    deadline = time.monotonic() + bounded.deadline_seconds
    return lambda: time.monotonic() > deadline


def _bounded(bounded: Bounded | None, work: Callable[[], T]) -> T:
    if bounded is None:
        return work()

    def apart() -> T:
        try:
            return work()
        finally:
            connection.close()  # this thread's own

    try:
        return bounded.call(apart)
    except RunStopped:
        raise DeadlineError(
            "deadline_exceeded",
            f"The source was not listed within {bounded.deadline_seconds:g} seconds.",
            "Nothing was changed. Use `manage.py ingestion refresh`, which waits as long as it takes.",
        ) from None


def _begin(ingestion: Ingestion, mode: str) -> bool:
    """``False`` where it was begun earlier and has not ended."""
    with transaction.atomic():
        locked = Ingestion.objects.select_for_update().get(pk=ingestion.pk)
        _refuse_busy(locked, mode)
        return bool(Ingestion.objects.filter(pk=locked.pk).exclude(refresh_mode=mode).update(refresh_mode=mode))


# ---- doing it


def _perform(outcome: Refresh, *, user: Any, auto_run: bool, bounded: Bounded | None) -> None:
    ingestion, report = outcome.ingestion, outcome.report

    def trigger() -> None:
        if auto_run:
            outcome.run = run_start(ingestion=ingestion, trigger=Run.Trigger.REFRESH, user=user)

    try:
        _bounded(bounded, partial(refresh_finish, ingestion=ingestion, report=report, last=trigger))
    except Busy as error:
        if outcome.begun_now:
            _take_back_where_nothing_happened(ingestion, report, error)
        raise
    except (AutoloaderError, DatabaseError) as error:
        outcome.status, outcome.run = "partial_failure", None
        _note_failure(outcome, error, auto_run)
        return
    if auto_run and outcome.run is not None:
        report.operations.append(Operation(TRIGGERED, "success", f"run {outcome.run.pk}"))


def _note_failure(outcome: Refresh, error: AutoloaderError | DatabaseError, auto_run: bool) -> None:
    """Names the step that failed, and says what state things are in."""
    ingestion, report, table = outcome.ingestion, outcome.report, outcome.ingestion.destination_key
    needed = [DROPPED, *([CLEARED] if outcome.mode == FULL else []), *([TRIGGERED] if auto_run else [])]
    open_ = [name for name in needed if not report.done(name)]
    if open_ and not any(each.status == "failed" for each in report.operations):
        report.failed(open_[0], error)
    report.operations += [
        Operation(name, "skipped", "an earlier step failed")
        for name in open_
        if not any(each.operation == name for each in report.operations)
    ]
    if outcome.begun_now and _take_back_where_nothing_happened(ingestion, report, error):
        outcome.notes.append(f"Nothing was changed: the table {table}, its rows and the ledger are as they were.")
        return
    if isinstance(error, DeadlineError):
        outcome.notes.append("The cluster did not answer in time; what was begun may still go on by itself.")
    if report.done(DROPPED):
        outcome.notes.append(f"The table {table} is dropped; the ledger is not brought in line with that completely.")
    else:
        outcome.notes.append(f"Whether the table {table} is dropped is not known; the ledger is as it was.")
    outcome.notes.append("The refresh stays begun: the same call, or the next run before it loads, finishes it.")


def _take_back_where_nothing_happened(ingestion: Ingestion, report: Report, error: Exception) -> bool:
    """A drop that was refused outright, or never begun, has changed nothing, so the refresh is not begun any more."""
    never = isinstance(error, Busy | ConflictError)
    if report.done(DROPPED) or not (never or _still_there(ingestion, error)):
        return False
    return bool(Ingestion.objects.filter(pk=ingestion.pk).exclude(refresh_mode="").update(refresh_mode=""))


def _still_there(ingestion: Ingestion, error: Exception) -> bool:
    """Whether the cluster said no, and has the table still. After anything that may pass, that is not asked."""
    if isinstance(error, DatabaseError) or not isinstance(error, AutoloaderError) or error.retryable:
        return False
    try:
        with table_open(ingestion=ingestion) as loader:
            return loader.state() is not None
    except AutoloaderError:
        return False


# ---- telling


def _operation(each: Operation) -> dict[str, Any]:
    return {
        "operation": each.operation,
        "status": each.status,
        "timestamp": present.instant(each.at),
        "details": each.details,
        "error": str(each.error) if each.error else None,
        "error_code": each.error.code if each.error else None,
    }


def _message(outcome: Refresh) -> str:
    table = outcome.ingestion.destination_key
    if outcome.status == "dry_run":
        return f"Nothing was done. A refresh ({NAMES[outcome.mode]}) of {table} would do what stands below."
    if outcome.status == "partial_failure":
        failed = next(each.operation for each in outcome.report.operations if each.status == "failed")
        return f"The refresh of {table} did not end: {failed} failed."
    return f"{table} is refreshed" + (", and a run loads it." if outcome.run else ". No run was started.")


def _warnings(outcome: Refresh) -> list[str]:
    found, table = outcome.impact, outcome.ingestion.destination_key
    warnings = []
    if outcome.table_rows:
        warnings.append(
            f"The {outcome.table_rows:,} rows of {table} are dropped with it, and its snapshots; readers find no table "
            "until a run has made it again."
        )
    if found.lost:
        warnings.append(f"Of the files once loaded {found.lost:,} cannot be loaded again; their rows are lost.")
    if found.files_skipped:
        warnings.append(f"{found.files_skipped:,} loaded files are not loaded again; their rows are gone.")
    return warnings


def _next_steps(outcome: Refresh) -> dict[str, str]:
    base = f"/api/v1/ingestions/{outcome.ingestion.pk}"
    again = f'POST {base}/refresh/{NAMES[outcome.mode]} with {{"confirm": true}}'
    if outcome.status == "dry_run":
        return {"to_proceed": again, "to_cancel": "Nothing was changed: there is nothing to cancel."}
    if outcome.status == "partial_failure":
        return {"to_finish": f"{again}, or POST {base}/run"}
    if outcome.run is not None:
        return {
            "to_follow": f"GET {base}/runs/{outcome.run.pk}",
            "to_stop": f"POST {base}/runs/{outcome.run.pk}/cancel",
        }
    return {"to_load": f"POST {base}/run"}
