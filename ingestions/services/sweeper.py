"""Runs that nobody works on are put into the queue again. Any number of schedulers may do this at once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_q.models import OrmQ

from autoloader.lib.logs import log_context
from ingestions.models import Run
from ingestions.models.run import lease_over, longest_wait, over
from ingestions.services.breakers import runs_wake, to_enqueue
from ingestions.services.places import places_offer
from ingestions.services.runs import run_enqueue, runs_end_cancelled
from ingestions.services.schedules import SOUND

logger = logging.getLogger(__name__)

#: a task that was enqueued this long ago and took no lease is looked for.
LOST_AFTER = timedelta(seconds=10)
#: after a lease ran out a new task gets this long to take the run before another one is made.
PATIENCE = timedelta(seconds=10)
#: more waiting tasks than this are not looked through: the queue is long, and the run's task is in it.
LOOK_THROUGH = 500


def sweep(*, now: datetime | None = None) -> int:
    """Enqueues what is due again and returns how many runs that were. Those that were asked to stop are ended."""
    now = now or timezone.now()
    if ended := runs_end_cancelled(now=now):
        logger.info("runs ended that were cancelled and that nobody worked on", extra={"runs": ended})
    runs_wake(now=now)
    offered = places_offer(now)
    active = Run.objects.active()
    due = to_enqueue(active.filter(over("resume_at", now, longest_wait()), place_since=None), now=now)
    orphaned = active.filter(lease_over("lease_expires_at", now), over("enqueued_at", now - PATIENCE, SOUND))
    lost = active.filter(
        Q(enqueued_at=None) | over("enqueued_at", now - LOST_AFTER, SOUND), lease_expires_at=None, resume_at=None
    )
    count = offered + sum(_enqueue(run, "wait is over") for run in due)
    count += sum(_enqueue(run, "its worker is gone") for run in orphaned)
    candidates = list(lost)
    if candidates:
        waiting = _waiting_tasks(now)
        count += sum(
            _enqueue(run, "its task was lost")
            for run in candidates
            if waiting is not None and str(run.pk) not in waiting
        )
    return count


def _enqueue(run: Run, reason: str) -> bool:
    """One of several schedulers gets it: the conditional update compares what was read."""
    with transaction.atomic():
        same = Run.objects.active().filter(pk=run.pk, enqueued_at=run.enqueued_at, resume_at=run.resume_at)
        if not same.update(resume_at=None, enqueued_at=timezone.now()):
            return False
        run_enqueue(run=run)
    with log_context(run_id=str(run.pk), ingestion_id=str(run.ingestion_id)):
        logger.info("run enqueued again", extra={"reason": reason})
    return True


def _waiting_tasks(now: datetime) -> frozenset[str] | None:
    """Ids of the runs whose task still waits in the queue; ``None`` where the queue is too long to look through.

    A locked task was taken by a cluster that may be dead, so it does not count as waiting.
    """
    waiting = OrmQ.objects.filter(lock__lte=now)[: LOOK_THROUGH + 1]
    tasks = [row.task for row in waiting]
    if len(tasks) > LOOK_THROUGH:
        return None
    return frozenset(str(task["args"][0]) for task in tasks if isinstance(task, dict) and task.get("args"))
