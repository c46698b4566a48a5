"""Earlier versions of a batch's files, and what of them goes when the batch is published."""

from __future__ import annotations

from collections.abc import Sequence

from ingestions.engine.context import Context
from ingestions.engine.ledger import BatchState, Earlier, Entry, State


def replaced(context: Context, entries: Sequence[Entry]) -> Sequence[Earlier]:
    """Versions whose place these files take: with ``overwritten: replace`` every one that is loaded, else those of
    which only the quarantine table has rows."""
    found = context.store.earlier(entries)
    if context.config.format.overwritten == "replace":
        return found
    return [each for each in found if each.state == State.QUARANTINED]


def in_table(earlier: Sequence[Earlier]) -> frozenset[tuple[str, str]]:
    """(batch id, address) of those that have rows in the table."""
    return frozenset((each.batch_id, each.address) for each in earlier if each.rows)


def in_quarantine(batch: BatchState, earlier: Sequence[Earlier]) -> frozenset[tuple[str, str]]:
    """What leaves the quarantine table with the batch, as (batch id, address): rows of these versions, and those of an
    earlier look at its own files."""
    own = {
        (entry.quarantined_in, entry.file.address)
        for entry in batch.entries
        if entry.quarantined_in not in ("", batch.id)
    }
    return frozenset(own | {(each.quarantined_in, each.address) for each in earlier if each.quarantined_in})
