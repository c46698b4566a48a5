"""Backfills: a range of the source, at any time, whatever the rules of time say about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ingestions.engine.backfill import Range, RangeOfSource, range_of
from ingestions.engine.sources.base import Source
from ingestions.models import Ingestion, Run
from ingestions.services.runs import run_start
from ingestions.services.starting import reopen
from ingestions.services.store import OrmStore


def backfill_start(
    *,
    ingestion: Ingestion,
    modified_after: datetime | None = None,
    modified_before: datetime | None = None,
    prefix: str | None = None,
    user: Any = None,
    idempotency_key: str = "",
) -> Run:
    """A run over a range of the source: files in it that were left out for their time are loaded, as are those not seen
    yet; those that are loaded stay as they are, and files outside are not looked at. ``RunActive`` (409) while a run is
    active; ConfigError with the field at fault.
    """
    wanted = range_of(
        ingestion.configuration().source,
        modified_after=modified_after,
        modified_before=modified_before,
        prefix=prefix,
    )
    return run_start(
        ingestion=ingestion,
        trigger=Run.Trigger.BACKFILL,
        user=user,
        idempotency_key=idempotency_key,
        backfill=wanted.to_json(),
    )


def range_asked(run: Run) -> Range | None:
    return Range.of(run.backfill) if run.backfill is not None else None


@contextmanager
def within(source: Source, run: Run, store: OrmStore) -> Iterator[Source]:
    """The source as this run looks at it. Of a backfill: its range, whose files wait again where nothing but their time
    spoke against them."""
    wanted = range_asked(run)
    if wanted is None:
        yield source
        return
    listed = run.discovered_at is not None
    if not listed:
        reopen(ingestion=run.ingestion, destination_key=store.destination_key, wanted=wanted, fence=store.fence)
    narrowed = RangeOfSource(source, wanted)
    yield narrowed
    if not listed and not narrowed.seen:
        hint = f"The source has no file of the range: {wanted.words()}."
        Run.objects.filter(pk=run.pk).exclude(discovered_at=None).update(hint=hint[:500])
