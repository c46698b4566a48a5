"""One run, from its listing to its last batch, over the protocols: every step looks before it acts, so that going on
after a crash is the same code as the first try.
"""

from __future__ import annotations

import logging
from enum import Enum

from autoloader.lib.errors import AutoloaderError, RunStopped
from autoloader.lib.logs import log_context
from ingestions.engine.batch import BatchLoad
from ingestions.engine.config import IngestionConfig
from ingestions.engine.context import Context
from ingestions.engine.discovery import Before, discover
from ingestions.engine.duplicates import Duplicates
from ingestions.engine.first_bytes import Opening, with_shapes
from ingestions.engine.incremental import Memory
from ingestions.engine.ledger import BatchState, Entry
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.planner import BATCHES_AHEAD, plan_batch
from ingestions.engine.schema.policy import Mode

logger = logging.getLogger(__name__)


class Outcome(Enum):
    """How a slice ended: more to do, all done, or stopped because somebody asked."""

    MORE = "more"
    DONE = "done"
    CANCELLED = "cancelled"


def run_slice(context: Context, *, budget_seconds: float) -> Outcome:
    """Works on the run until it is done, cancelled, asked to stop, or ``budget_seconds`` are used up or others wait (a
    batch that was begun is finished first). Raises what the run cannot go on with; its class says whether to try again.
    """
    try:
        return _slice(context, context.monotonic() + budget_seconds)
    except RunStopped:
        return Outcome.CANCELLED if context.store.cancel_requested() else Outcome.MORE


def _slice(context: Context, deadline: float) -> Outcome:
    if not context.store.discovery_done() and not _discover(context):
        return Outcome.CANCELLED if context.store.cancel_requested() else Outcome.MORE
    if _mode(context.config) is not Mode.REVIEW:
        context.store.withdraw_questions()
    with Opening(context) as opening:
        batch = _next_batch(context, opening)
        if batch is None and not context.store.stale_branches() and not context.store.stale_quarantine():
            return Outcome.DONE
        loader = opening.get()
        while batch is not None:
            if context.store.cancel_requested() and not batch.attempts:
                context.store.release(batch, [entry.id for entry in batch.entries])
                return Outcome.CANCELLED
            with log_context(batch_id=batch.id):
                finished = BatchLoad(context, loader, batch).run()
            if not finished:
                return Outcome.CANCELLED
            if context.monotonic() >= deadline or context.should_stop() or context.others_wait():
                return Outcome.MORE
            if context.store.cancel_requested():
                return Outcome.CANCELLED
            batch = _next_batch(context, opening)
            if batch is None:
                _optimize(context, loader)
        _sweep(context, loader)
    return Outcome.DONE


def _discover(context: Context) -> bool:
    """Lists the source into the ledger; ``False`` where it was asked to stop before the end."""
    store, config = context.store, context.config
    store.listing(0)
    found = discover(
        context.source,
        store,
        config.source,
        overwritten=config.format.overwritten,
        now=context.now,
        before=Before(Memory.from_json(store.listing_memory()), context.audit) if context.remembers else None,
        start=context.start,
        should_stop=lambda: _stopping(context),
        tell=store.listing,
    )
    if not found.complete:
        return False
    store.finish_discovery(listed=found.listed, hint=found.hint, end=found.end if context.remembers else None)
    counts = {"listed": found.listed, "recorded": found.recorded, "skipped": found.skipped, "reopened": found.reopened}
    told = {"mode": found.end.mode, "reason": found.end.reason, "missed": found.end.missed} if found.end else {}
    logger.info("discovered", extra={**counts, **told})
    return True


def _stopping(context: Context) -> bool:
    return context.should_stop() or context.store.cancel_requested()


def _next_batch(context: Context, opening: Opening) -> BatchState | None:
    """The batch that was begun and not ended, else a new one of the files that wait, else ``None``."""
    store = context.store
    if (batch := store.open_batch()) is not None:
        return batch
    limits = context.config.limits
    if _published_at_once(context.config):
        chosen = Duplicates(context, opening).without(_all_pending(context, opening))
        return store.begin_batch(chosen) if chosen else None
    after = 0
    while waiting := store.pending(limits.files_per_batch, after):
        after = waiting[-1].id
        readable = Duplicates(context, opening).without(with_shapes(context, opening, waiting))
        in_all = store.waiting(BATCHES_AHEAD * limits.files_per_batch)
        if chosen := plan_batch(readable, limits, in_all):
            return store.begin_batch(chosen)
    return None


def _mode(config: IngestionConfig) -> Mode:
    return Mode.of(config.format.schema_.evolution_mode, config.format.schema_.evolution_enabled)


def _published_at_once(config: IngestionConfig) -> bool:
    """A run that replaces the table, and one that may fail for a single file of it: all of it is one batch."""
    return config.destination.write_mode == "overwrite" or _mode(config) is Mode.FAIL


def _all_pending(context: Context, opening: Opening) -> list[Entry]:
    """Every file that waits, however many parts it takes to write them."""
    found: list[Entry] = []
    after = 0
    while waiting := context.store.pending(context.config.limits.files_per_batch, after):
        after = waiting[-1].id
        found += with_shapes(context, opening, waiting)
    return found


def _optimize(context: Context, loader: TableLoader) -> None:
    """After the last batch. The rows are in the table: a failure costs order, no data, and the next run tries again."""
    if not context.config.destination.optimization.z_ordering_enabled:
        return
    context.store.phase("rewriting files in z-order")
    try:
        logger.info("z-ordered", extra=dict(loader.optimize()))
    except AutoloaderError as error:
        logger.warning("not z-ordered", extra={"reason": error.message})


def _sweep(context: Context, loader: TableLoader) -> None:
    """Drops branches of attempts that have ended, and what batches that were given up left in the quarantine table.
    Failing at it costs nothing: the next run sweeps again."""
    for branch in context.store.stale_branches():
        try:
            loader.drop_branch(branch)
            context.store.branch_swept(branch)
        except AutoloaderError as error:
            logger.warning("branch not dropped", extra={"branch": branch, "reason": error.message})
    for batch in context.store.stale_quarantine():
        try:
            loader.unquarantine([batch], ())
            context.store.quarantine_swept(batch)
        except AutoloaderError as error:
            logger.warning("quarantine not swept", extra={"stale_batch": batch, "reason": error.message})
