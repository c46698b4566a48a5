"""A circuit breaker for something outside that many runs need. Its state is a row, so all processes share it.

Closed: everybody goes on. After some failures in a row, whoever met them, it opens: nobody goes on until its next try
is due; then one tries, and the others wait for what comes of it. A try that succeeds closes it on probation: the next
failure opens it again, and the wait goes on where it was, until something has really worked. Each change is a
conditional update that compares what was read, so of many at the same moment one decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from django.db import models
from django.db.models import F
from django.utils import timezone

from autoloader.lib.errors import TransientError

#: characters of what was said that a breaker keeps.
REASON_LENGTH = 300


class BreakerState(models.Model):
    """The row of one breaker. ``opened_at`` is empty while it is closed; ``prober`` names who tries at this moment, and
    ``next_try_at`` is then when that one is taken to be dead."""

    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    trips = models.PositiveIntegerField(default=0, help_text="tries in vain since something worked")
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    prober = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None


@dataclass(frozen=True)
class Policy:
    """``failures`` in a row open it. The wait doubles from ``first_wait_seconds`` to ``longest_wait_seconds``. Whoever
    tries and is silent for ``probe_seconds`` is taken to be dead."""

    failures: int
    first_wait_seconds: float
    longest_wait_seconds: float
    probe_seconds: float

    def wait(self, trips: int) -> timedelta:
        """After the ``trips``-th try in vain; the first is the one that opened it."""
        doubled = self.first_wait_seconds * 2.0 ** min(max(trips - 1, 0), 30)
        return timedelta(seconds=min(doubled, self.longest_wait_seconds))

    @property
    def longest(self) -> timedelta:
        """No next try of a sound clock is farther away."""
        return timedelta(seconds=max(self.longest_wait_seconds, self.probe_seconds))


class Waits(TransientError):
    """The breaker is open: nothing is asked until ``until``. It is no failure of whoever waits."""

    def __init__(self, what: str, why: str, until: datetime) -> None:
        super().__init__(
            "waits_for_breaker",
            f"{what} did not answer several times in a row: {why}",
            f"It is tried again at {until:%H:%M:%S}, or as soon as somebody asks for it.",
        )
        self.why = why
        self.until = until


S = TypeVar("S", bound=BreakerState)


class Breaker(Generic[S]):
    """``rows`` holds the one row of this breaker, ``make`` makes it where there is none yet. ``what`` is whose breaker
    it is, in words that begin a sentence. Who is meant by ``by`` is a word of the caller's, never used twice."""

    def __init__(
        self,
        rows: models.QuerySet[S],
        make: Callable[[], object],
        policy: Policy,
        *,
        what: str,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._rows = rows
        self._make = make
        self._policy = policy
        self._what = what
        self._now = now

    def state(self) -> S | None:
        """The row as it is; ``None`` where nothing ever failed."""
        return self._rows.all().first()

    def admit(self, *, by: str) -> bool:
        """``False`` while it is closed. ``True``: it is due, and the caller is the one that tries; ``failed`` or
        ``answered`` has to follow. Raises :class:`Waits` for everybody else."""
        state = self.state()
        if state is None or state.opened_at is None:
            return False
        now = self._now()
        if self._is_due(state, now):
            claim = self._rows.filter(opened_at=state.opened_at, next_try_at=state.next_try_at, prober=state.prober)
            if claim.update(prober=by, next_try_at=now + timedelta(seconds=self._policy.probe_seconds)):
                return True
            state = self.state()
            if state is None or state.opened_at is None:
                return False
        raise Waits(self._what, state.reason, state.next_try_at or now)

    def _is_due(self, state: S, now: datetime) -> bool:
        """A next try that is too far away was reckoned by a clock that has been set back since."""
        return state.next_try_at is None or not now < state.next_try_at <= now + self._policy.longest

    def failed(self, *, by: str, why: str) -> Waits | None:
        """Counts a failure. The wait, where the breaker is open by now; ``None`` while it is closed. What was begun
        before it opened, and fails later, lengthens nothing."""
        state = self.state()
        if state is None:
            self._make()
            state = self._rows.get()
        now, why = self._now(), why[:REASON_LENGTH]
        later = {"trips": F("trips") + 1, "next_try_at": now + self._policy.wait(state.trips + 1), "reason": why}
        mine = self._rows.filter(prober=by, trips=state.trips).exclude(opened_at=None)
        if not mine.update(prober="", **later):
            self._rows.filter(opened_at=None).update(failures=F("failures") + 1, reason=why)
            self._rows.filter(opened_at=None, failures__gte=self._policy.failures).update(opened_at=now, **later)
        stands = self._rows.get()
        return Waits(self._what, stands.reason, stands.next_try_at or now) if stands.opened_at is not None else None

    def answered(self, *, by: str) -> bool:
        """The try of ``by`` succeeded; ``True`` where that closed it. On probation: its next failure opens it."""
        mine = self._rows.filter(prober=by).exclude(opened_at=None)
        return bool(mine.update(failures=self._policy.failures - 1, opened_at=None, next_try_at=None, prober=""))

    def worked(self) -> None:
        """Something was really done: earlier failures do not count any more. Changes nothing while it is open."""
        self._rows.filter(opened_at=None).exclude(failures=0, trips=0).update(failures=0, trips=0, reason="")

    def close(self) -> bool:
        """A person says so, or knows that it works; ``False`` where it was closed already."""
        was_open = self._rows.exclude(opened_at=None).update(
            failures=0, trips=0, reason="", opened_at=None, next_try_at=None, prober=""
        )
        self.worked()
        return bool(was_open)
