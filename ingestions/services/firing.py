"""Schedules that are due become runs, each fire once, however many schedulers look at the same time.

The rows that are due are taken in batches, locked (on SQLite the transaction itself is the lock; on PostgreSQL rows
that somebody else holds are passed by), moved on by a conditional update, and their runs are inserted together with
their tasks, all in one transaction. Beyond that the database refuses two runs of one ingestion and instant.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from pydantic import ValidationError

from autoloader.lib.errors import AutoloaderError, ConfigError
from ingestions.engine.config import Schedule
from ingestions.models import Ingestion, Run
from ingestions.models.ingestion import IngestionQuerySet
from ingestions.services.runs import runs_insert
from ingestions.services.schedules import SOUND, timetable_of

logger = logging.getLogger(__name__)

#: ingestions that are dealt with in one transaction.
BATCH = 250
#: no look at a source is set for later than this, unless the clock was set back since.
FARTHEST_LOOK = timedelta(days=8)
_SCHEDULED = ("hourly", "daily", "weekly", "custom")


@dataclass(frozen=True)
class Verdict:
    """What becomes of one fire: ``run_for`` is the instant that a run is for, ``None`` for none; ``values`` go into the
    ingestion's row."""

    run_for: datetime | None
    values: dict[str, Any] = field(default_factory=dict)
    told: str = ""


def fire_due(now: datetime) -> int:
    """Deals with every ingestion whose schedule wants a run by now; how many runs that made."""
    made = 0
    while True:
        dealt, runs = _batch(now, BATCH)
        made += runs
        if dealt < BATCH:
            return made


def _batch(now: datetime, size: int) -> tuple[int, int]:
    try:
        return _fire(Ingestion.objects.due(now), now, size)
    except (IntegrityError, Raced):
        # Somebody started a run of one of them at this moment. By themselves the others are no longer concerned.
        dealt = made = 0
        for pk in list(Ingestion.objects.due(now).values_list("pk", flat=True)[:size]):
            try:
                one, runs = _fire(Ingestion.objects.due(now).filter(pk=pk), now, 1)
            except (IntegrityError, Raced):
                continue  # the next look finds what there is by then
            dealt, made = dealt + one, made + runs
        return dealt, made


def _fire(due: IngestionQuerySet, now: datetime, size: int) -> tuple[int, int]:
    """(rows dealt with, runs made) of one transaction."""
    with transaction.atomic():
        rows = list(due.select_for_update(skip_locked=True, no_key=True)[:size])
        busy, done = _busy(rows), _done(rows)
        verdicts = [(row, _verdict(row, now, busy=row.pk in busy, done=done)) for row in rows]
        _claim(verdicts)
        runs = [_run(row, verdict.run_for) for row, verdict in verdicts if verdict.run_for is not None]
        runs_insert(runs=runs, now=now)
    for row, verdict in verdicts:
        if verdict.told:
            logger.warning(verdict.told, extra={"ingestion_id": str(row.pk)})
    return len(rows), len(runs)


class Raced(Exception):
    """A row is not as it was read; nothing of the batch is done."""


def _claim(verdicts: Sequence[tuple[Ingestion, Verdict]]) -> None:
    """Moves the rows on, many with one conditional update: most that are due together are due next together."""
    alike: dict[Any, list[Ingestion]] = defaultdict(list)
    for row, verdict in verdicts:
        alike[row.next_run_at, tuple(verdict.values.items())].append(row)
    for (due, values), rows in alike.items():
        mine = Ingestion.objects.active().filter(pk__in=[row.pk for row in rows], next_run_at=due)
        if mine.update(**dict(values)) != len(rows):
            raise Raced


def start_behind(now: datetime) -> int:
    """Starts the fires that waited for a run to end, where it has; how many."""
    active = Run.objects.active().filter(ingestion=OuterRef("pk"))
    free = Ingestion.objects.active().exclude(behind_for=None).exclude(Exists(active)).order_by("behind_for", "pk")
    try:
        with transaction.atomic():
            rows = list(free.select_for_update(skip_locked=True, no_key=True)[:BATCH])
            done = _done(rows)
            runs = []
            for row in rows:
                mine = Ingestion.objects.active().filter(pk=row.pk, behind_for=row.behind_for)
                if mine.update(behind_for=None) and row.behind_for and (row.pk, row.behind_for) not in done:
                    runs.append(_run(row, row.behind_for))
            runs_insert(runs=runs, now=now)
    except IntegrityError:
        return 0  # somebody started a run at this moment; it waits for that one too
    return len(runs)


def mend_plans(now: datetime) -> int:
    """Reckons anew what has no plan yet, and what was planned by a clock that has been set back since; how many."""
    ahead = Ingestion.objects.active().filter(next_run_set_at__gt=now + SOUND)
    unplanned = Ingestion.objects.active().filter(next_run_at=None, config__schedule__frequency__in=_SCHEDULED)
    count = (
        Ingestion.objects.active()
        .filter(next_poll_at=None, config__schedule__frequency="continuous")
        .update(next_poll_at=now)
    )
    count += Ingestion.objects.filter(next_poll_at__gt=now + FARTHEST_LOOK).update(next_poll_at=now)
    for row in [*ahead, *unplanned]:
        mine = Ingestion.objects.active().filter(pk=row.pk, next_run_at=row.next_run_at)
        count += mine.update(**_plan(row, now))
    return count


def _plan(row: Ingestion, now: datetime) -> dict[str, Any]:
    try:
        table = timetable_of(_schedule(row), row.pk)
    except ConfigError as error:
        return _broken(row, error)
    return {"next_run_at": table.next(now) if table else None, "next_run_set_at": now}


def _verdict(row: Ingestion, now: datetime, *, busy: bool, done: Iterable[tuple[Any, datetime]]) -> Verdict:
    due = row.next_run_at
    assert due is not None, "only rows that are due come here"
    try:
        schedule = _schedule(row)
        table = timetable_of(schedule, row.pk)
    except ConfigError as error:
        return Verdict(None, _broken(row, error), "a schedule cannot be followed")
    if table is None:
        return Verdict(None, {"next_run_at": None, "next_run_set_at": None})
    moved = {"next_run_at": table.next(now), "next_run_set_at": now}
    grace = timedelta(seconds=settings.MISFIRE_SECONDS)
    late = now - due > grace
    if late and schedule.misfire == "skip":
        missed, due = due, next((at for at in [table.next(now - grace)] if at is not None and at <= now), None)
        if due is None:
            note = _note(now, f"{_said(missed)} was missed, as no scheduler ran, and was skipped")
            return Verdict(None, moved | note, "a fire was missed")
        late = False
    if (row.pk, due) in done:
        return Verdict(None, moved)
    if busy:
        return Verdict(None, moved | _overlap(row, schedule, due, now), "a fire met a run that goes on")
    if late:
        return Verdict(due, moved | _note(now, f"{_said(due)} was missed, as no scheduler ran, and started late"))
    return Verdict(due, moved | ({"schedule_note": "", "schedule_noted_at": None} if row.schedule_note else {}))


def _overlap(row: Ingestion, schedule: Schedule, due: datetime, now: datetime) -> dict[str, Any]:
    if schedule.overlap == "skip":
        return _note(now, f"{_said(due)} was skipped, as the run before it had not ended")
    if row.behind_for is not None:
        return _note(now, f"{_said(due)} was skipped, as one waits already for the run in hand to end")
    return {"behind_for": due} | _note(now, f"{_said(due)} waits for the run in hand to end")


def _said(due: datetime) -> str:
    return f"The run of {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _note(now: datetime, text: str) -> dict[str, Any]:
    return {"schedule_note": f"{text}.", "schedule_noted_at": now}


def _broken(row: Ingestion, error: AutoloaderError) -> dict[str, Any]:
    """It stops until a person acts; the others go on."""
    reason = f"Its schedule cannot be followed: {error.message} {error.hint}"[:500]
    return {"status": Ingestion.Status.ERROR, "status_reason": reason, "next_run_at": None, "next_run_set_at": None,
            "behind_for": None, "next_poll_at": None}  # fmt: skip


def _schedule(row: Ingestion) -> Schedule:
    try:
        return Schedule.model_validate(row.config["schedule"])
    except (ValidationError, LookupError, TypeError):
        raise ConfigError(
            "invalid_schedule", "Its schedule is not valid.", "Edit it, and resume.", field="schedule"
        ) from None


def _run(row: Ingestion, run_for: datetime) -> Run:
    return Run(ingestion=row, trigger=Run.Trigger.SCHEDULED, scheduled_for=run_for)


def _busy(rows: Sequence[Ingestion]) -> frozenset[Any]:
    found = Run.objects.active().filter(ingestion__in=rows)
    return frozenset(found.order_by().values_list("ingestion_id", flat=True))


def _done(rows: Sequence[Ingestion]) -> frozenset[tuple[Any, datetime]]:
    """Fires that have their run already: the clock was set back since, or a plan was made anew."""
    instants = [at for row in rows for at in (row.next_run_at, row.behind_for) if at is not None]
    if not instants:
        return frozenset()
    found = Run.objects.filter(ingestion__in=rows, scheduled_for__gte=min(instants)).order_by()
    return frozenset((pk, at) for pk, at in found.values_list("ingestion_id", "scheduled_for") if at is not None)
