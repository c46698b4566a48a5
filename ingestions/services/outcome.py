"""What a published batch leaves in the ledger. Called inside one fenced transaction of the store."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import F

from autoloader.lib.chunks import CHUNK, chunks
from ingestions.engine.ledger import AttemptState, BatchOutcome, FileOutcome, State
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run
from ingestions.models.ledger import LedgerQuerySet
from ingestions.services import duplicates, quarantine

#: different pairs of counts that are written with a statement each; more are written row by row.
STATEMENTS = 100
#: how a run's hint begins that tells of rows that are gone.
TABLE_GONE = "The table was not there any more"


def lost_with_the_table(rows: int) -> str:
    """What a run says that finds no table where its ledger has rows."""
    return (
        f"{TABLE_GONE}, and was made anew: {rows:,} rows that were loaded earlier are gone. "
        "A full refresh loads them again."
    )


@dataclass
class _Totals:
    """What the table has more, or less, of this ingestion's files."""

    files: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass
class Outcome:
    """``batch`` is locked; ``run_id`` is the run that gives its files their state."""

    batch: Batch
    run_id: uuid.UUID
    now: datetime
    totals: _Totals = field(default_factory=_Totals)

    def write(self, attempt: AttemptState | None, outcome: BatchOutcome) -> None:
        """Files LOADED with rows and snapshot, what they replaced SUPERSEDED, totals raised, the attempt ended."""
        claimed = self._ledger().filter(batch=self.batch, state=State.CLAIMED)
        sizes = dict(claimed.values_list("pk", "size_bytes"))
        counts = [file for file in outcome.files if file.entry_id in sizes]
        claimed.update(
            rows=0,
            rescued_rows=0,
            dropped_values=None,
            state=State.LOADED,
            reason="",
            error_code="",
            snapshot_id=outcome.snapshot_id,
            run_id=self.run_id,
            state_changed_at=self.now,
        )
        self._set_rows(counts)
        apart = quarantine.settle(self._ledger().filter(batch=self.batch, state=State.LOADED), self.batch)
        dropped = self._set_dropped(counts)
        rows, rescued = sum(count.rows for count in counts), sum(count.rescued_rows for count in counts)
        self.totals = _Totals(len(sizes), rows, sum(sizes.values()))
        self._end_batch(outcome, rescued, apart)
        if attempt is not None:
            Attempt.objects.filter(branch=attempt.branch).update(state=Attempt.State.PUBLISHED, ended_at=self.now)
        Run.objects.filter(pk=self.run_id).update(
            files_loaded=F("files_loaded") + len(sizes),
            bytes_done=F("bytes_done") + self.totals.bytes,
            bytes_written=F("bytes_written") + outcome.bytes_written,
            rows_done=F("rows_done") + rows,
            rows_rescued=F("rows_rescued") + rescued,
            rows_quarantined=F("rows_quarantined") + apart.quarantined,
            rows_dropped=F("rows_dropped") + apart.dropped,
            values_dropped=F("values_dropped") + dropped,
            batches_done=F("batches_done") + 1,
            transient_failures=0,
        )
        if outcome.left is not None:
            self._supersede(outcome.left)
        if outcome.replaced:
            self._replace(outcome.replaced)
        self._raise_totals()

    def _ledger(self) -> LedgerQuerySet:
        return LedgerEntry.objects.filter(
            ingestion_id=self.batch.ingestion_id, destination_key=self.batch.destination_key
        )

    def _end_batch(self, outcome: BatchOutcome, rescued: int, apart: quarantine.Apart) -> None:
        Batch.objects.filter(pk=self.batch.pk).update(
            state=Batch.State.LOADED,
            files=self.totals.files,
            bytes=self.totals.bytes,
            rows=self.totals.rows,
            rescued_rows=rescued,
            quarantined_rows=apart.quarantined,
            dropped_rows=apart.dropped,
            bytes_written=outcome.bytes_written,
            snapshot_id=outcome.snapshot_id,
            ddl=list(outcome.ddl),
            detail=dict(outcome.detail),
            ended_at=self.now,
        )

    def _raise_totals(self) -> None:
        """Of the destination that the ingestion has; an edit may have given it another one meanwhile."""
        Ingestion.objects.filter(pk=self.batch.ingestion_id, destination_key=self.batch.destination_key).update(
            files_loaded=F("files_loaded") + self.totals.files,
            rows_loaded=F("rows_loaded") + self.totals.rows,
            bytes_loaded=F("bytes_loaded") + self.totals.bytes,
        )

    def _set_rows(self, counts: Sequence[FileOutcome]) -> None:
        """Files with equal counts share a statement; where hardly any are equal, many rows do."""
        equal: dict[tuple[int, int], list[int]] = defaultdict(list)
        for count in counts:
            if not count.rows:  # as they are
                continue
            equal[count.rows, count.rescued_rows].append(count.entry_id)
        if len(equal) <= STATEMENTS:
            for (rows, rescued), ids in equal.items():
                for part in chunks(ids):
                    self._ledger().filter(id__in=part).update(rows=rows, rescued_rows=rescued)
            return
        entries = [LedgerEntry(pk=count.entry_id, rows=count.rows, rescued_rows=count.rescued_rows) for count in counts]
        LedgerEntry.objects.bulk_update(entries, ["rows", "rescued_rows"], batch_size=200)

    def _set_dropped(self, counts: Sequence[FileOutcome]) -> int:
        """How many in all."""
        some = [LedgerEntry(pk=count.entry_id, dropped_values=count.dropped_values) for count in counts]
        some = [entry for entry in some if entry.dropped_values]
        LedgerEntry.objects.bulk_update(some, ["dropped_values"], batch_size=200)
        return sum(entry.dropped_values or 0 for entry in some)

    def _supersede(self, left: Mapping[tuple[str, str], int]) -> None:
        """Earlier files of which the batch replaced rows: none left is SUPERSEDED, fewer is said in the reason."""
        earlier = self._ledger().filter(state=State.LOADED).exclude(batch=self.batch)
        gone: list[int] = []
        for entry in earlier.only("id", "address", "batch_id", "rows", "size_bytes").iterator(chunk_size=CHUNK):
            count = left.get((str(entry.batch_id), entry.address), 0)
            if count == entry.rows and count:
                continue
            if not self._lower(entry, count):
                gone.append(entry.pk)
        self._gone(gone)

    def _replace(self, left: Mapping[int, int]) -> None:
        """Earlier versions of the batch's own files, by entry id with the rows that are left of each."""
        ids = list(left)
        gone: list[int] = []
        for part in chunks(ids):
            earlier = self._ledger().filter(pk__in=part, state__in=[State.LOADED, State.QUARANTINED])
            gone += [entry.pk for entry in earlier if not self._lower(entry, left[entry.pk])]
        self._gone(gone)
        duplicates.let_wait(self._ledger(), gone, self.now)

    def _lower(self, entry: LedgerEntry, count: int) -> int:
        """An earlier file has so many rows left; 0 where it is gone from the totals."""
        before = entry.rows or 0
        self.totals.rows -= before - count
        if count == 0:
            self.totals.files -= 1
            self.totals.bytes -= entry.size_bytes
        else:
            reason = f"{count} of its {before} rows are left: the others were replaced by batch {self.batch.pk}"
            self._ledger().filter(pk=entry.pk).update(rows=count, read_rows=None, reason=reason)
        return count

    def _gone(self, gone: Sequence[int]) -> None:
        for part in chunks(gone):
            self._ledger().filter(pk__in=part).update(
                state=State.SUPERSEDED, reason=f"replaced by batch {self.batch.pk}", state_changed_at=self.now
            )
