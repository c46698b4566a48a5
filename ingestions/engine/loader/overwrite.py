"""The feed replaces the table, or the partitions that it has rows for: all parts on one branch, published at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts
from ingestions.engine.loader.base import BATCH_ID, Audit, Found, LostRace, Staged
from ingestions.engine.loader.staging import StagingTable
from ingestions.engine.planner import in_parts

if TYPE_CHECKING:
    from ingestions.engine.loader.loader import SparkTableLoader


class Overwrite:
    def __init__(self, loader: SparkTableLoader) -> None:
        self.loader = loader
        self.by_partition = loader.destination.overwrite_scope == "partitions" or (
            loader.destination.overwrite_scope == "auto" and loader.destination.partitioning.enabled
        )

    def stage(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> Staged:
        own = (
            self._partitions(entries, batch_id, attempt) if self.by_partition else self._all(entries, batch_id, attempt)
        )
        history, _ = self.loader.history()
        head = history.snapshots.get(history.refs.get(attempt.branch, -1))
        if head is None or (head.batch, head.attempt) != (batch_id, attempt.branch):
            raise LostRace("branch_changed", f"The branch {attempt.branch} does not end in what was just staged.")
        mine = [each.id for each in history.snapshots.values() if each.attempt == attempt.branch]
        summaries = [self.loader.summary(id_) for id_ in mine]

        def total(name: str) -> int:
            return sum(int(summary.get(name, 0)) for summary in summaries)

        return Staged(head.id, total("added-records"), total("added-files-size"), total("added-data-files"), own)

    def _all(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> tuple[int, ...]:
        branch = self.loader.branch(attempt.branch)
        base = emptied = attempt.base_snapshot_id
        if base is not None:
            self.loader.spark.sql(f"DELETE FROM {branch}")
            emptied = self.loader.own_step(attempt, base)
        for part in in_parts(entries, self.loader.config.limits):
            rows, columns = self.loader.frame(part, batch_id)
            self.loader.writer(rows, branch, batch_id, attempt.branch, columns).append()
        return (emptied,) if emptied is not None and emptied != base else ()

    def _partitions(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> tuple[int, ...]:
        """One commit in any case: a second part would take the rows of the first for old ones."""
        parts = list(in_parts(entries, self.loader.config.limits))
        if len(parts) == 1:
            rows, columns = self.loader.frame(parts[0], batch_id)
        else:
            staging = StagingTable(self.loader, attempt.branch)
            columns = staging.fill(entries, batch_id)
            rows = staging.rows()
        branch = self.loader.branch(attempt.branch)
        self.loader.writer(rows, branch, batch_id, attempt.branch, columns).overwritePartitions()
        return ()

    def added(self, attempt: AttemptState, entries: Sequence[Entry]) -> Any:
        """The rows of this batch, on the branch."""
        rows = self.loader.spark.table(self.loader.branch(attempt.branch))
        return rows.where(F.col(BATCH_ID) == F.lit(self.loader.batch_of(attempt)))

    def audited(self, audit: Audit, attempt: AttemptState) -> Audit:
        return replace(audit, left=self._left(self.loader.branch(attempt.branch), self.loader.batch_of(attempt)))

    def duplicates(self) -> int:
        return 0

    def adopted(self, batch_id: str, found: Found, attempt: AttemptState | None) -> Audit:
        return Audit(self.loader.batch_counts(batch_id), left=self._left(self.loader.table, batch_id))

    def _left(self, table: str, batch_id: str) -> dict[tuple[str, str], int]:
        if not self.by_partition:
            return {}
        old = self.loader.spark.table(table).where(~F.col(BATCH_ID).eqNullSafe(F.lit(batch_id)))
        return counts.by_batch_and_file(old)
