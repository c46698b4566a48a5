"""The verbs of a run: asked for here, worked on in :mod:`ingestions.services.execution`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from django_q.tasks import async_task

from autoloader.lib.errors import ConflictError
from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, Run, TableLease
from ingestions.models.run import RunQuerySet
from ingestions.queue import Gathering
from ingestions.services.alerts import run_ended

TASK = "ingestions.tasks.work"
WAITING = "waiting for a worker"


class RunActive(ConflictError):
    """One active run an ingestion; ``run_id`` is the one there is."""

    def __init__(self, ingestion: Ingestion, run_id: str) -> None:
        super().__init__(
            "run_active",
            f"A run of {ingestion.name!r} is already active.",
            f"Wait for run {run_id} to end.",
        )
        self.run_id = run_id


def run_start(
    *,
    ingestion: Ingestion,
    trigger: str = Run.Trigger.MANUAL,
    user: Any = None,
    idempotency_key: str = "",
    scheduled_for: datetime | None = None,
    retry_of: Run | None = None,
    retry_number: int = 0,
    backfill: dict[str, Any] | None = None,
) -> Run:
    """Inserts the run and its task in one transaction; it takes the place of a retry that waits. The same
    ``idempotency_key`` gives the same run again; :class:`RunActive` (409) where another run is queued or running.
    """
    if idempotency_key:
        earlier = Run.objects.filter(ingestion=ingestion, idempotency_key=idempotency_key).first()
        if earlier is not None:
            return earlier
    runs_close_idle(ingestions=[ingestion])
    try:
        with transaction.atomic():
            run = Run.objects.create(
                ingestion=ingestion,
                trigger=trigger,
                requested_by=user,
                idempotency_key=idempotency_key,
                scheduled_for=scheduled_for,
                retry_of=retry_of,
                retry_number=retry_number,
                backfill=backfill,
                priority=priority_of(ingestion),
                phase=WAITING,
            )
            retries_give_up(ingestions=[ingestion])
            run_enqueue(run=run)
    except IntegrityError:
        same = Run.objects.filter(ingestion=ingestion, idempotency_key=idempotency_key).exclude(idempotency_key="")
        if (found := same.first()) is not None:
            return found
        active = Run.objects.active().filter(ingestion=ingestion).first()
        if active is None:
            raise
        raise RunActive(ingestion, str(active.pk)) from None
    return run


def runs_insert(*, runs: Sequence[Run], now: datetime) -> None:
    """Many new runs and their tasks at once, the most urgent first. IntegrityError where one may not be; call it within
    a transaction."""
    if not runs:
        return
    for run in runs:
        run.phase, run.enqueued_at, run.priority = WAITING, now, priority_of(run.ingestion)
    Run.objects.bulk_create(runs)
    retries_give_up(ingestions=[run.ingestion for run in runs])
    gathering = Gathering()
    for run in sorted(runs, key=lambda run: -run.priority):
        async_task(TASK, str(run.pk), task_name=f"run-{run.pk}"[:100], save=False, broker=gathering)
    gathering.put()


def priority_of(ingestion: Ingestion) -> int:
    return int(ingestion.config.get("limits", {}).get("priority", 0))


def runs_close_idle(*, ingestions: Sequence[Ingestion]) -> int:
    """Ends continuous runs that have loaded all there was and wait for more; how many. What comes now is for another
    run."""
    now, count = timezone.now(), 0
    for run in Run.objects.idle().filter(ingestion__in=ingestions):
        status = Run.Status.PARTIAL if run.files_failed or run.files_held else Run.Status.SUCCESS
        with transaction.atomic():
            mine = Run.objects.idle().filter(pk=run.pk)
            if mine.update(status=status, ended_at=now, phase="", resume_at=None, idle_since=None):
                run_ended(run_id=run.pk, now=now)
                count += 1
    return count


def retries_give_up(*, ingestions: Sequence[Ingestion]) -> None:
    """Retries that wait are not needed any more: a newer run looks at the same files, or a person wants none."""
    Run.objects.filter(ingestion__in=ingestions).exclude(retry_at=None).update(retry_at=None)


def run_retry(*, run: Run, user: Any = None, idempotency_key: str = "") -> Run:
    """A new run for one that failed, was cancelled or is partial: its failed files wait again, in one transaction with
    the new run, and are looked at anew (a file may have been mended under the same version of it).

    :class:`RunActive` (409) while a run is active; ``nothing_to_retry`` (409) where nothing failed.
    """
    with transaction.atomic():
        if idempotency_key:
            same = Run.objects.filter(ingestion=run.ingestion, idempotency_key=idempotency_key).first()
            if same is not None:
                return same
        runs_close_idle(ingestions=[run.ingestion])
        active = Run.objects.active().filter(ingestion=run.ingestion).first()
        if active is not None:
            raise RunActive(run.ingestion, str(active.pk))
        status = Run.objects.values_list("status", flat=True).get(pk=run.pk)
        failed = LedgerEntry.objects.filter(
            run=run, destination_key=run.ingestion.destination_key, state=State.FAILED
        ).newest()
        if not failed.exists() and status in (Run.Status.SUCCESS, Run.Status.PARTIAL):
            raise ConflictError(
                "nothing_to_retry",
                "The run has no file left that failed.",
                "Start a new run for files that have arrived since.",
            )
        again = run_start(
            ingestion=run.ingestion,
            trigger=Run.Trigger.RETRY,
            user=user,
            idempotency_key=idempotency_key,
            retry_of=run,
            backfill=run.backfill,
        )
        failed.update(
            state=State.DISCOVERED, reason="", error_code="", shape=None, run=None, state_changed_at=timezone.now()
        )
    return again


def run_enqueue(*, run: Run) -> None:
    """Puts a task for the run into the queue: an id, nothing else. A second one does no harm."""
    Run.objects.filter(pk=run.pk).update(enqueued_at=timezone.now())
    async_task(TASK, str(run.pk), task_name=f"run-{run.pk}"[:100], save=False)


def others_wait(*, run: Run) -> bool:
    """Whether another run is in the queue."""
    waiting = Run.objects.claimable(timezone.now()).filter(resume_at=None).exclude(enqueued_at=None)
    return waiting.exclude(pk=run.pk).exists()


def next_in_queue(*, run_id: str, but: Collection[str] = ()) -> str | None:
    """Whose turn it is when a worker was given this run's task: a more urgent run that waits in the queue, else this
    one, else (somebody else has it by now) whoever waits. ``None`` for nobody; ``but`` were looked at already."""
    waiting = Run.objects.claimable(timezone.now()).filter(resume_at=None).exclude(enqueued_at=None)
    mine = Run.objects.filter(pk=run_id).values_list("priority", flat=True).first()
    ordered = waiting.exclude(pk__in=but).order_by("-priority", "enqueued_at", "pk").values_list("pk", "priority")
    first = ordered.first()
    if run_id not in but and (first is None or mine is None or first[1] <= mine):
        return run_id
    return str(first[0]) if first is not None else None


def run_cancel(*, run: Run) -> Run:
    """Asks the run to stop: whole batches stay, nothing half is ever published. One that nobody works on (queued,
    waiting, its worker gone) ends at once; a worker ends its run within seconds. ConflictError for one that has ended.
    """
    now = timezone.now()
    if not _end_cancelled(Run.objects.unheld(now).filter(pk=run.pk), now):
        asked = Run.objects.active().filter(pk=run.pk, cancel_requested_at=None)
        if not asked.update(cancel_requested_at=now) and not Run.objects.active().filter(pk=run.pk).exists():
            raise ConflictError("run_ended", "The run has already ended.", "Start a new one.")
    run.refresh_from_db()
    return run


def run_hand_over(*, run: Run, token: str) -> bool:
    """Gives the run back in the middle of a step, so that another worker goes on at once: that one interrupts the step
    and looks how far it came. ``False`` where this worker does not hold it any more, or it is to be cancelled."""
    with transaction.atomic():
        mine = Run.objects.filter(pk=run.pk, lease_token=token, status=Run.Status.RUNNING, cancel_requested_at=None)
        if not mine.update(lease_token="", lease_holder="", lease_expires_at=None):
            return False
        TableLease.objects.filter(token=token).update(run=None, token="", expires_at=None)
        run_enqueue(run=run)
    return True


def run_put_back(*, run_id: str) -> None:
    """For a worker that is to stop and is given a run that it has not begun."""
    for run in Run.objects.unheld(timezone.now()).filter(pk=run_id, resume_at=None):
        run_enqueue(run=run)


def run_end_cancelled(*, run: Run, token: str) -> bool:
    """Ends a run that its worker was asked to stop; ``False`` where that worker does not hold it any more."""
    mine = Run.objects.filter(pk=run.pk, lease_token=token, status=Run.Status.RUNNING)
    return _end_cancelled(mine, timezone.now()) == 1


def runs_end_cancelled(*, now: datetime) -> int:
    """Ends the runs that were asked to stop and that nobody works on; how many."""
    return _end_cancelled(Run.objects.unheld(now).exclude(cancel_requested_at=None), now)


def _end_cancelled(rows: RunQuerySet, now: datetime) -> int:
    return rows.update(
        status=Run.Status.CANCELLED,
        cancel_requested_at=Coalesce(F("cancel_requested_at"), now),
        ended_at=now,
        phase="",
        resume_at=None,
        lease_token="",
        lease_holder="",
        lease_expires_at=None,
    )
