"""Proof: the ledger's rows per file against the table's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Sum

from ingestions.engine.ledger import State
from ingestions.models import Batch, Ingestion, LedgerEntry
from ingestions.services import quarantine
from ingestions.services.table import table_open

#: differences listed; the count is always whole.
LISTED = 100


@dataclass
class Verification:
    """``differences`` lists files whose rows disagree; rows of batches that are not this ingestion's are counted apart
    (``foreign_rows``) and are no fault. ``orphan_batches`` are batches of ours in the table that the ledger does not
    know as loaded. Of a merge the ledger's rows are those read; the table may hold fewer of a file, never more, and as
    many in all as were inserted less those deleted.
    """

    files: int = 0
    rows_ledger: int = 0
    rows_table: int = 0
    #: malformed rows that are kept out of the table, as the ledger has them; those in quarantine are counted there.
    rows_quarantined: int = 0
    rows_dropped: int = 0
    foreign_rows: int = 0
    difference_count: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    orphan_batches: list[str] = field(default_factory=list)
    #: keys that stand more than once in a table that rows are merged into.
    duplicate_keys: int = 0
    #: where something differs: snapshots in the table's history that are not ours, newest first.
    foreign_snapshots: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.difference_count and not self.orphan_batches and not self.duplicate_keys

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
    merged = ingestion.configuration().destination.write_mode == "merge"
    with table_open(ingestion=ingestion) as loader:
        there = loader.state() is not None
        found = loader.rows_by_batch_and_file() if there else {}
        result.duplicate_keys = loader.duplicate_keys() if there else 0
        history = loader.foreign_snapshots(_own_snapshots(ingestion)) if there else ()
        kept_out = quarantine.kept_out(ingestion)
        apart = loader.quarantined() if quarantine.has_table(ingestion) else {}
    orphans = set()
    for (batch, address), rows in found.items():
        if batch not in ours:
            result.foreign_rows += rows
        elif ours[batch] != Batch.State.LOADED:
            orphans.add(batch)
        else:
            result.rows_table += rows
            read = expected.pop((batch, address), 0)
            _compare(result, address, read, rows, merged=merged)
    if merged:
        _compare_merges(result, ingestion)
    else:
        for (_, address), rows in expected.items():
            _compare(result, address, rows, 0)
    result.rows_quarantined = sum(each.quarantined_rows or 0 for each in kept_out)
    result.rows_dropped = sum(each.dropped_rows or 0 for each in kept_out)
    for address, ledger, table in quarantine.differences(kept_out, apart, ours):
        _compare(result, address, ledger, table)
    result.orphan_batches = sorted(orphans)
    if not result.ok:
        result.foreign_snapshots = [str(id_) for id_ in history[:LISTED]]
    return result


def _own_snapshots(ingestion: Ingestion) -> set[int]:
    """Snapshots of ours that cannot carry an attempt's name, as their batches remember them."""
    details = Batch.objects.filter(destination_key=ingestion.destination_key, ingestion__cluster=ingestion.cluster)
    return {int(id_) for detail in details.values_list("detail", flat=True) for id_ in detail.get("own_snapshots", ())}


def _compare_merges(result: Verification, ingestion: Ingestion) -> None:
    """In all, the table holds what was inserted less what was deleted."""
    batches = Batch.objects.filter(
        ingestion=ingestion, destination_key=ingestion.destination_key, state=Batch.State.LOADED
    )
    found = [detail.get("merge", {}) for detail in batches.values_list("detail", flat=True)]
    merges = [merge for merge in found if "inserted" in merge]
    expected = sum(merge["inserted"] - merge["deleted"] for merge in merges)
    if not result.foreign_rows:  # a row of others that was updated became ours, and was not inserted
        _compare(result, "all files together", expected, result.rows_table)


def _compare(result: Verification, address: str, ledger: int, table: int, *, merged: bool = False) -> None:
    if ledger == table or (merged and table <= ledger):
        return
    result.difference_count += 1
    if len(result.differences) < LISTED:
        result.differences.append({"path": address, "rows_ledger": ledger, "rows_table": table})


def replaced_by(*, file: LedgerEntry) -> Batch | None:
    """The batch that replaced rows of the file, all or some of them, where the ledger's reason names one."""
    named = re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", file.reason)
    if named is None:
        return None
    return Batch.objects.filter(pk=named[0], ingestion_id=file.ingestion_id).select_related("run").first()


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
