"""Runs that wait for something outside to answer again: how they come to wait, who tries, and who wakes them.

``Run.waits_for`` names the breaker. A run that waits holds no worker and no lease; when the next try is due the sweeper
puts one of them into the queue, and that one tries for all.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from autoloader.lib.breaker import Breaker, Waits
from autoloader.lib.errors import AutoloaderError, TransientError
from clusters.breaker import cluster_breaker, is_away, knock
from clusters.models import Cluster, ClusterBreaker
from ingestions.models import Run, SourceBreaker
from ingestions.models.run import PHASE_LENGTH, RunQuerySet

logger = logging.getLogger(__name__)

CLUSTER = "cluster:"
SOURCE = "source:"


class ClusterGate:
    """One slice's way to its cluster. ``used`` is set by whoever was given a session on it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.used = False

    @contextmanager
    def through(self, cluster: Cluster) -> Iterator[None]:
        """Raises :class:`Waits` where the cluster is not to be asked now, or where the body found it away once too
        often; the run then has to wait as :func:`waiting` says."""
        breaker = cluster_breaker(cluster)
        try:
            self._enter(cluster, breaker)
            yield
        except Waits:
            raise
        except AutoloaderError as error:
            if is_away(error):
                if waits := breaker.failed(by=self._run.lease_token, why=error.message):
                    told_all(of_cluster(cluster), waits)
                    raise waits from error
            elif self.used:
                breaker.worked()
            raise
        if self.used:
            breaker.worked()

    def _enter(self, cluster: Cluster, breaker: Breaker[ClusterBreaker]) -> None:
        if breaker.admit(by=self._run.lease_token):
            logger.info("trying a cluster that did not answer", extra={"cluster": cluster.name})
            knock(cluster)
            if breaker.answered(by=self._run.lease_token):
                logger.info("the cluster answers again", extra={"cluster": cluster.name})
                runs_wake(now=timezone.now())
        if self._run.waits_for.startswith(CLUSTER):
            Run.objects.filter(pk=self._run.pk, lease_token=self._run.lease_token).update(**NOT_WAITING)


NOT_WAITING = {"waits_for": "", "waits_since": None}


@dataclass(frozen=True)
class Awaited:
    """What runs wait for: ``key`` as their rows have it, ``what`` for people, ``remedy`` where they waited in vain."""

    key: str
    what: str
    remedy: str


def of_cluster(cluster: Cluster) -> Awaited:
    remedy = "Start the cluster and test its connection, then run again; the files wait."
    return Awaited(f"{CLUSTER}{cluster.pk}", f"the cluster {cluster.name}", remedy)


def of_store(store: str) -> Awaited:
    """The row's key is short, the store's name may be long."""
    digest = hashlib.sha256(store.encode()).hexdigest()[:40]
    return Awaited(
        f"{SOURCE}{digest}", f"the store {store}", "Look at the store and the network to it, then run again."
    )


def waiting(run: Run, awaited: Awaited, waits: Waits, now: datetime) -> dict[str, object]:
    """What the run's row has while it waits. Raises :class:`TransientError` where it has waited long enough."""
    since = run.waits_since if run.waits_for and run.waits_since else now
    if now - since > _patience():
        minutes = _patience().total_seconds() / 60
        what = awaited.what[:1].upper() + awaited.what[1:]
        code = "cluster_away" if awaited.key.startswith(CLUSTER) else "store_away"
        raise TransientError(code, f"{what} did not answer for {minutes:.0f} minutes: {waits.why}", awaited.remedy)
    return {
        "waits_for": awaited.key,
        "waits_since": since,
        "resume_at": waits.until,
        "phase": _phase(awaited, waits),
    }


def _patience() -> timedelta:
    return timedelta(seconds=settings.BREAKER_PATIENCE_SECONDS)


def _phase(awaited: Awaited, waits: Waits) -> str:
    begin, end = f"waiting for {awaited.what}: ", f", next try {waits.until:%H:%M:%S} UTC"
    return f"{begin}{waits.why.rstrip('. ')[: max(PHASE_LENGTH - len(begin) - len(end), 0)]}{end}"[:PHASE_LENGTH]


def told_all(awaited: Awaited, waits: Waits) -> None:
    """The others wait as long, and say so; one that was put into the queue meanwhile looks by itself."""
    logger.warning("waiting for something that does not answer", extra={"what": awaited.what, "reason": waits.why})
    others = Run.objects.active().filter(waits_for=awaited.key, lease_token="").exclude(resume_at=None)
    others.update(resume_at=waits.until, phase=_phase(awaited, waits))


def runs_wake(*, now: datetime) -> int:
    """Runs that wait for what is not waited for any more are due now; how many. Whoever closed the breaker."""
    waiting = Run.objects.active().exclude(waits_for="")
    keys = set(waiting.order_by().values_list("waits_for", flat=True).distinct())
    if not keys:
        return 0
    still = {f"{CLUSTER}{pk}" for pk in ClusterBreaker.objects.exclude(opened_at=None).values_list("pk", flat=True)}
    still |= {
        of_store(store).key for store in SourceBreaker.objects.exclude(opened_at=None).values_list("pk", flat=True)
    }
    closed = waiting.filter(waits_for__in=keys - still).exclude(resume_at=None)
    return closed.update(resume_at=now, phase="waiting for a worker", **NOT_WAITING)


def to_enqueue(due: RunQuerySet, *, now: datetime) -> list[Run]:
    """Of the runs that are due: those that wait for nothing, those that have waited long enough, and of those that wait
    for one thing one, unless one of them is in the queue or at work already."""
    found = list(due.filter(waits_for=""))
    waiting = list(due.exclude(waits_for="").order_by("queued_at", "id"))
    if not waiting:
        return found
    trying = set(Run.objects.active().exclude(waits_for="").filter(resume_at=None).values_list("waits_for", flat=True))
    for run in waiting:
        if run.waits_for not in trying or (run.waits_since and now - run.waits_since > _patience()):
            trying.add(run.waits_for)
            found.append(run)
    return found
