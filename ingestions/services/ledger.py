"""Proof: the ledger's rows per file against the table's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Sum

from ingestions.engine.ledger import State
from ingestions.models import Batch, Ingestion, LedgerEntry
from ingestions.services.table import table_open

#: differences listed; the count is always whole.
LISTED = 100


@dataclass
class Verification:
    """``differences`` lists files whose rows disagree; rows of batches that are not this ingestion's are counted apart
    (``foreign_rows``) and are no fault. ``orphan_batches`` are batches of ours in the table that the ledger does not
    know as loaded.
    """

    files: int = 0
    rows_ledger: int = 0
    rows_table: int = 0
    foreign_rows: int = 0
    difference_count: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    orphan_batches: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.difference_count and not self.orphan_batches

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **self.__dict__}


def ledger_verify(*, ingestion: Ingestion) -> Verification:
    """Counts the table's rows per batch and file on the cluster and compares them with the ledger's."""
    loaded = LedgerEntry.objects.filter(
        ingestion=ingestion, destination_key=ingestion.destination_key, state=State.LOADED
    )
    expected: dict[tuple[str, str], int] = {
        (str(batch), address): rows or 0
        for address, batch, rows in loaded.values_list("address", "batch_id", "rows").iterator(chunk_size=5000)
    }
    ours = {
        str(pk): state
        for pk, state in Batch.objects.filter(
            ingestion=ingestion, destination_key=ingestion.destination_key
        ).values_list("pk", "state")
    }
    result = Verification(files=len(expected), rows_ledger=sum(expected.values()))
    with table_open(ingestion=ingestion) as loader:
        found = loader.rows_by_batch_and_file() if loader.state() is not None else {}
    orphans = set()
    for (batch, address), rows in found.items():
        if batch not in ours:
            result.foreign_rows += rows
        elif ours[batch] != Batch.State.LOADED:
            orphans.add(batch)
        else:
            result.rows_table += rows
            _compare(result, address, expected.pop((batch, address), 0), rows)
    for (_, address), rows in expected.items():
        _compare(result, address, rows, 0)
    result.orphan_batches = sorted(orphans)
    return result


def _compare(result: Verification, address: str, ledger: int, table: int) -> None:
    if ledger == table:
        return
    result.difference_count += 1
    if len(result.differences) < LISTED:
        result.differences.append({"path": address, "rows_ledger": ledger, "rows_table": table})


def ledger_totals(*, ingestion: Ingestion) -> dict[str, dict[str, int]]:
    """Files, bytes and rows by state, every state present."""
    rows = (
        LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
        .values("state")
        .annotate(files=Count("id"), bytes=Sum("size_bytes"), rows_sum=Sum("rows"))
    )
    totals = {state.value: {"files": 0, "bytes": 0, "rows": 0} for state in State}
    for row in rows:
        totals[row["state"]] = {"files": row["files"], "bytes": row["bytes"] or 0, "rows": row["rows_sum"] or 0}
    return totals
