"""Malformed rows that are kept out of a table, as the ledger knows them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Case, Q, Sum, Value, When
from django.db.models.functions import Coalesce

from autoloader.lib.chunks import chunks
from ingestions.engine.ledger import Earlier, Entry, Separated, State
from ingestions.models import Batch, Ingestion, LedgerEntry
from ingestions.models.ledger import LedgerQuerySet

_NONE = {"read_rows": None, "quarantined_rows": None, "dropped_rows": None}


@dataclass(frozen=True)
class Apart:
    """Rows of a batch that are not in its table."""

    quarantined: int = 0
    dropped: int = 0


def earlier(ledger: LedgerQuerySet, entries: Sequence[Entry]) -> list[Earlier]:
    """Versions of these files, other than these, that are loaded or wholly in quarantine."""
    found: list[Earlier] = []
    ids = {entry.id for entry in entries}
    addresses = [entry.file.address for entry in entries]
    for part in chunks(addresses):
        rows = ledger.filter(address__in=part, state__in=[State.LOADED, State.QUARANTINED])
        found += [
            Earlier(
                row.pk, row.address, State(row.state), str(row.batch_id), row.rows or 0, str(row.quarantine_batch or "")
            )
            for row in rows.only("id", "address", "state", "batch_id", "rows", "quarantine_batch")
            if row.pk not in ids
        ]
    return found


def separate(claimed: LedgerQuerySet, batch_id: str, rows: Sequence[Separated]) -> None:
    """Of the files of an open batch these have malformed rows that are kept out, and the others have none."""
    claimed.update(**_NONE)
    for each in rows:
        claimed.filter(pk=each.entry_id).update(
            read_rows=each.read, quarantined_rows=each.quarantined, dropped_rows=each.dropped
        )
    Batch.objects.filter(pk=batch_id).update(separated=bool(rows))


def settle(loaded: LedgerQuerySet, batch: Batch) -> Apart:
    """Of the files of a batch that was published: QUARANTINED are those without a row that was well formed."""
    if not batch.separated:
        before = Q(read_rows__isnull=False) | Q(quarantine_batch__isnull=False)
        loaded.filter(before).update(**_NONE, quarantine_batch=None)
        return Apart()
    there = Q(quarantined_rows__gt=0)
    loaded.update(quarantine_batch=Case(When(there, then=Value(batch.pk)), default=None))
    total = loaded.aggregate(quarantined=Coalesce(Sum("quarantined_rows"), 0), dropped=Coalesce(Sum("dropped_rows"), 0))
    loaded.filter(there, rows=0).update(
        state=State.QUARANTINED, reason="none of its rows is well formed; all of them are in the quarantine table"
    )
    return Apart(total["quarantined"], total["dropped"])


def stale(ingestion_id: uuid.UUID, destination_key: str) -> list[str]:
    """Batches that were given up and may have left rows in the quarantine table."""
    found = Batch.objects.filter(
        ingestion_id=ingestion_id, destination_key=destination_key, state=Batch.State.RELEASED, separated=True
    )
    return [str(pk) for pk in found.values_list("pk", flat=True)[:100]]


def swept(ledger: LedgerQuerySet, batch_id: str) -> None:
    ledger.filter(quarantine_batch=batch_id).update(quarantine_batch=None)
    Batch.objects.filter(pk=batch_id).update(separated=False)


# ---- looking


def bad_files(rows: LedgerQuerySet) -> LedgerQuerySet:
    """Those of the files that have rows which are kept out of their table, the last ones first."""
    apart = Q(quarantined_rows__gt=0) | Q(dropped_rows__gt=0)
    return rows.filter(apart, state__in=[State.LOADED, State.QUARANTINED]).order_by("-id")


def kept_out(ingestion: Ingestion) -> list[LedgerEntry]:
    """Files of the present destination with rows that are kept out of it."""
    mine = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    return list(bad_files(mine))


def has_table(ingestion: Ingestion) -> bool:
    """Whether the ledger knows of rows that were ever put into the quarantine table."""
    batches = Batch.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    return batches.filter(Q(separated=True) | Q(quarantined_rows__gt=0)).exists()


def differences(
    files: Sequence[LedgerEntry], found: Mapping[tuple[str, str], int], batches: Mapping[str, str]
) -> Iterator[tuple[str, int, int]]:
    """What was counted, the ledger's number and the table's, where the quarantine table and the ledger differ, or the
    rows of a file do not add up. Rows of batches that are not ours or not ended are no fault of the ledger."""
    expected = {(str(file.quarantine_batch), file.address): file for file in files if file.quarantined_rows}
    for pair, file in expected.items():
        if (there := found.get(pair, 0)) != file.quarantined_rows:
            yield f"{file.address} (in quarantine)", file.quarantined_rows or 0, there
    for (batch, address), rows in found.items():
        if (batch, address) not in expected and batches.get(batch) == Batch.State.LOADED:
            yield f"{address} (in quarantine)", 0, rows
    for file in files:
        added = (file.rows or 0) + (file.quarantined_rows or 0) + (file.dropped_rows or 0)
        if file.read_rows is not None and added != file.read_rows:
            yield f"{file.address} (rows read)", file.read_rows, added
