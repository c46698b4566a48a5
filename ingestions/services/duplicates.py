"""Files of equal content, as the ledger knows them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from autoloader.lib.chunks import chunks
from ingestions.engine.ledger import Entry, State, Twin
from ingestions.models.ledger import LedgerQuerySet


def twins(ledger: LedgerQuerySet, entries: Sequence[Entry]) -> list[Twin]:
    """Files that are loaded, or wholly in quarantine, and as large as one of these, in order of id."""
    found: list[Twin] = []
    sizes = sorted({entry.file.size_bytes for entry in entries if entry.file.size_bytes})
    for part in chunks(sizes):
        rows = ledger.filter(size_bytes__in=part, state__in=[State.LOADED, State.QUARANTINED])
        found += [Twin(row.pk, row.remote_file(), row.checksum) for row in rows.defer("shape", "reason")]
    return sorted(found, key=lambda each: each.id)


def set_checksums(ledger: LedgerQuerySet, checksums: Mapping[int, str]) -> None:
    for pk, checksum in checksums.items():
        ledger.filter(pk=pk).update(checksum=checksum)


def skip(ledger: LedgerQuerySet, entry_id: int, original: Twin, *, run_id: uuid.UUID, now: datetime) -> int:
    return ledger.filter(pk=entry_id, state=State.DISCOVERED).update(
        state=State.SKIPPED,
        reason=f"duplicate of {original.file.address}: the same content is loaded already",
        error_code="",
        duplicate_of_id=original.id,
        run_id=run_id,
        state_changed_at=now,
    )


def let_wait(ledger: LedgerQuerySet, originals: Sequence[int], now: datetime) -> None:
    """What was skipped as a duplicate of these, whose rows are in the table no more."""
    for part in chunks(originals):
        ledger.filter(duplicate_of_id__in=part, state=State.SKIPPED).update(
            state=State.DISCOVERED, reason="", duplicate_of=None, run=None, state_changed_at=now
        )
