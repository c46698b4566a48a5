"""Limits of how many runs are worked on at the same time: over all, of one owner, on one cluster.

A place is held for one slice of a run. Who finds none waits without a worker; places that become free go to those who
wait, the highest priority first and then who has waited longest. A run that has worked its slice stands behind them, so
that long runs share a place with others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce

from autoloader.lib.words import plural
from ingestions.models import LimitLock, Run
from ingestions.models.run import PHASE_LENGTH, lease_over
from ingestions.services.runs import run_enqueue

#: nobody but :func:`places_offer` wakes a run that waits for a place; any instant to come would do.
AGAIN = timedelta(days=1)
#: runs that wait, of which the first may be offered a place at once.
LOOKED_AT = 1000
Rows: TypeAlias = "QuerySet[Run, dict[str, Any]]"
_FIELDS = (
    "pk", "priority", "place_since", "resume_at", "lease_token", "ingestion__owner_id", "ingestion__cluster_id",
    "ingestion__cluster__name", "ingestion__cluster__max_runs",
)  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """``places`` for the runs of ``scope``; ``where`` is how it goes on after “waits for a free place”."""

    scope: str
    places: int
    where: str


@dataclass(frozen=True)
class Full:
    """No place: the limit that is in the way, and how many of its places are taken."""

    limit: Limit
    used: int

    @property
    def reason(self) -> str:
        told = f"waits for a free place{self.limit.where}: {self.used} of {self.limit.places} in use"
        return told[:PHASE_LENGTH]


def _limits(row: Mapping[str, Any]) -> tuple[Limit, ...]:
    found = []
    if settings.RUNS_AT_ONCE > 0:
        found.append(Limit("all", settings.RUNS_AT_ONCE, ""))
    if row["ingestion__cluster__max_runs"]:
        where = f" on the cluster {row['ingestion__cluster__name']}"
        found.append(Limit(f"cluster:{row['ingestion__cluster_id']}", row["ingestion__cluster__max_runs"], where))
    if settings.RUNS_AT_ONCE_PER_OWNER > 0:
        found.append(
            Limit(f"owner:{row['ingestion__owner_id']}", settings.RUNS_AT_ONCE_PER_OWNER, " among those of its owner")
        )
    return tuple(found)


@dataclass(frozen=True)
class Wish:
    """A run that wants to be worked on."""

    run_id: Any
    limits: tuple[Limit, ...]

    @property
    def is_bounded(self) -> bool:
        return bool(self.limits)

    def locked(self) -> None:
        """Holds the limits' rows until the transaction ends."""
        scopes = sorted(limit.scope for limit in self.limits)
        LimitLock.objects.bulk_create((LimitLock(scope) for scope in scopes), ignore_conflicts=True)
        list(LimitLock.objects.select_for_update().filter(scope__in=scopes).order_by("scope"))

    def refused(self, now: datetime) -> Full | None:
        """Why it has to wait; ``None`` where it may go on. To be asked while it is :meth:`locked`."""
        used = _used(_taken(now).exclude(pk=self.run_id))
        if (full := _full(self.limits, used)) is not None:
            return full
        mine = Run.objects.filter(pk=self.run_id).values(*_FIELDS).get()
        if mine["place_since"] is not None and mine["resume_at"] is None:
            return None  # it was offered one
        ahead = [row for row in _waiting() if row["pk"] != mine["pk"] and _order(row, now) < _order(mine, now)]
        return _full(self.limits, _shared_out(ahead, used)[1])


def wish(run_id: str) -> Wish:
    row = Run.objects.filter(pk=run_id).values(*_FIELDS).first()
    return Wish(run_id, _limits(row) if row is not None else ())


def wait_for_place(*, run_id: str, full: Full, now: datetime) -> None:
    mine = Run.objects.claimable(now).filter(pk=run_id)
    mine.update(phase=full.reason, place_since=Coalesce(F("place_since"), Value(now)), resume_at=now + AGAIN)


def places_offer(now: datetime) -> int:
    """Puts runs that wait for a place into the queue where there is one; how many."""
    waiting = list(_waiting())
    return sum(_offer(row) for row in _shared_out(waiting, _used(_taken(now)))[0]) if waiting else 0


def _offer(row: Mapping[str, Any]) -> bool:
    """One of several that look at the same time does it."""
    with transaction.atomic():
        same = Run.objects.active().filter(pk=row["pk"], resume_at=row["resume_at"], lease_token="")
        if not same.update(resume_at=None, phase="waiting for a worker"):
            return False
        run_enqueue(run=Run(pk=row["pk"]))
    return True


def _taken(now: datetime) -> Rows:
    """Runs that are worked on, and those that were offered a place."""
    active = Run.objects.active()
    held = active.exclude(lease_token="").exclude(lease_over("lease_expires_at", now))
    offered = active.filter(resume_at=None, lease_token="").exclude(place_since=None)
    rows: Rows = (held | offered).order_by().values(*_FIELDS)
    return rows


def _waiting() -> Rows:
    """Runs that wait for a place, the one that gets the next one first."""
    waiting = Run.objects.active().exclude(place_since=None).exclude(resume_at=None)
    rows: Rows = waiting.order_by("-priority", "place_since", "pk").values(*_FIELDS)[:LOOKED_AT]
    return rows


def _order(row: Mapping[str, Any], now: datetime) -> tuple[int, datetime]:
    return (-row["priority"], row["place_since"] or now)


def _used(taken: Rows) -> Counter[str]:
    return Counter(limit.scope for row in taken for limit in _limits(row))


def _shared_out(
    waiting: Iterable[Mapping[str, Any]], used: Counter[str]
) -> tuple[list[Mapping[str, Any]], Counter[str]]:
    """(those of ``waiting``, in their order, that get a place, places in use then)."""
    used, granted = Counter(used), []
    for row in waiting:
        limits = _limits(row)
        if _full(limits, used) is None:
            used.update(limit.scope for limit in limits)
            granted.append(row)
    return granted, used


def _full(limits: Sequence[Limit], used: Mapping[str, int]) -> Full | None:
    for limit in limits:
        if used.get(limit.scope, 0) >= limit.places:
            return Full(limit, min(used[limit.scope], limit.places))
    return None


def limits_told() -> str:
    """For people: what is bounded over all."""
    told = [plural(settings.RUNS_AT_ONCE, "run") + " at once"] if settings.RUNS_AT_ONCE > 0 else []
    if settings.RUNS_AT_ONCE_PER_OWNER > 0:
        told.append(plural(settings.RUNS_AT_ONCE_PER_OWNER, "run") + " at once of one owner")
    return ", ".join(told) or "none"
