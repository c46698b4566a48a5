"""One destination table through one leased session: stage on a branch, audit there, publish by fast-forward.

The order of the steps is what makes a batch load once: the branch is made before anyone looks for the batch, it is
written by one attempt only, and main moves only if it stands where the branch began.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import AutoloaderError, FatalError, ValueLost
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts, observing
from ingestions.engine.loader.base import (
    BATCH_ID,
    SNAPSHOT_ATTEMPT,
    SNAPSHOT_BATCH,
    SOURCE_FILE,
    Audit,
    Column,
    Found,
    LostRace,
    Staged,
    UnknownOutcome,
)
from ingestions.engine.loader.evolving import EvolvingTable
from ingestions.engine.loader.failures import commit_failure, is_missing_table
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.loader.merge import Merge
from ingestions.engine.loader.overwrite import Overwrite
from ingestions.engine.loader.snapshots import BrokenChain, History
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.loader.staging import StagingTable
from ingestions.engine.planner import in_parts
from ingestions.engine.schema.policy import Mode
from ingestions.engine.sources.base import SparkAccess


class SparkTableLoader(EvolvingTable):
    """The :class:`~ingestions.engine.loader.base.TableLoader` over Spark Connect and Iceberg."""

    def __init__(
        self,
        spark: Any,
        *,
        session_id: str,
        config: IngestionConfig,
        access: SparkAccess,
        weigh: Weigh | None = None,
        maker: str = "",
    ) -> None:
        super().__init__(spark, config, access, weigh, maker)
        self.session_id = session_id
        schema = config.format.schema_
        #: whether a batch is all that a run has found, however much that is.
        self.at_once = Mode.of(schema.evolution_mode, schema.evolution_enabled) is Mode.FAIL
        self._opened: tuple[str, History] | None = None  # the branch made last, and the ancestors that it has for ever
        self._batches: dict[str, str] = {}  # branch -> the batch that was staged on it

    def open_branch(self, branch: str) -> int | None:
        if not self.our_columns_there:
            self.add_columns(())

        def run() -> int | None:
            self.refresh()
            self.spark.sql(f"ALTER TABLE {self.table} CREATE BRANCH {identifier(branch)}")
            history, _ = self.history()
            self._opened = branch, history
            return history.refs.get(branch)

        return self.committed(run, f"creating the branch {branch}")

    def find_batch(self, branch: str, batch_id: str) -> Found | None:
        history = self._opened[1] if self._opened and self._opened[0] == branch else self.history()[0]
        head = history.refs.get(branch)
        try:
            found = history.find_batch(head, batch_id)
            return Found(found.id, found.attempt or "") if found else None
        except BrokenChain:
            rows = self.spark.table(self.branch(branch)).where(F.col(BATCH_ID) == batch_id).limit(1).collect()
            if rows and head is not None:
                return Found(head)
            if self.destination.write_mode == "append":
                return None
            raise UnknownOutcome(
                "unknown_outcome",
                f"Whether batch {batch_id} was published cannot be told: older snapshots of the table are expired.",
                "Look whether its rows are in the table, then retry or skip its files.",
            ) from None

    def stage(self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState) -> Staged:
        addresses = [entry.file.address for entry in entries]
        self._batches[attempt.branch] = batch_id
        with self.tagged(attempt):
            try:
                return self._write(entries, batch_id, attempt)
            except Exception as error:
                raise self.read_failed(error, addresses, f"writing into {self.destination.key}") from error

    def _write(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> Staged:
        mode = self.mode()
        if mode is not None:
            return mode.stage(entries, batch_id, attempt)
        for part in in_parts(entries, self.config.limits) if self.at_once else [entries]:
            rows, columns = self.frame(part, batch_id)
            self.writer(rows, self.branch(attempt.branch), batch_id, attempt.branch, columns).append()
        staged = self._staged(batch_id, attempt)
        if staged.snapshot_id is None:
            self._check_silent(entries)
        return staged

    def writer(self, rows: Any, table: str, batch_id: str, attempt: str, columns: Sequence[Column]) -> Any:
        """A writer into ``table`` (a branch of ours, quoted) whose snapshot will say which batch and attempt it is."""
        writer = rows.writeTo(table)
        writer = writer.option(f"snapshot-property.{SNAPSHOT_BATCH}", batch_id)
        writer = writer.option(f"snapshot-property.{SNAPSHOT_ATTEMPT}", attempt)
        if any(column.required for column in columns):
            writer = writer.option("check-nullability", "false")  # the rows' own check says which column it was
        return writer

    def batch_of(self, attempt: AttemptState) -> str:
        """The batch that this loader has staged with this attempt."""
        return self._batches[attempt.branch]

    def own_step(self, attempt: AttemptState, before: int | None) -> int | None:
        """The branch's head after a statement of ours that cannot carry the attempt's name; ``before`` where it made
        no snapshot. LostRace where anybody else wrote to the branch."""
        self.refresh()
        history, _ = self.history()
        head = history.refs.get(attempt.branch)
        if head != before and (head is None or history.snapshots[head].parent_id != before):
            raise LostRace("branch_changed", f"Somebody else wrote to the branch {attempt.branch}.")
        return head

    def _staged(self, batch_id: str, attempt: AttemptState) -> Staged:
        history, _ = self.history(detail_of=attempt.branch)
        head = history.snapshots.get(history.refs.get(attempt.branch, -1))
        if head is None or (head.batch, head.attempt) != (batch_id, attempt.branch):
            raise LostRace("branch_changed", f"The branch {attempt.branch} does not end in what was just staged.")
        parts = [each.summary for each in history.snapshots.values() if each.attempt == attempt.branch]

        def total(name: str) -> int:
            return sum(int(summary.get(name, 0)) for summary in parts)

        if not total("added-records"):
            return Staged(None)
        return Staged(head.id, total("added-records"), total("added-files-size"), total("added-data-files"))

    def _check_silent(self, entries: Sequence[Entry]) -> None:
        """Files of which no row arrived: read by their paths they must have none, and be there. A folder's listing
        leaves out what has gone without a word."""
        folders = self.readers.folders
        if not entries or not folders.used:
            return
        addresses = [entry.file.address for entry in entries]
        try:
            with folders.left_aside():
                found = self.frame(entries, "")[0].select(SOURCE_FILE).limit(1).collect()
        except Exception as error:
            raise self.read_failed(error, addresses, "looking for files without rows") from error
        if found:
            folders.distrust()
            raise LostRace("files_missed", f"The listing of its folder did not show {found[0][SOURCE_FILE]}.")

    def audit(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Audit:
        if staged.snapshot_id is None:
            return Audit({})
        mode = self.mode()
        with self.tagged(attempt):
            try:
                added = mode.added(attempt, entries) if mode else self._added(staged, attempt)
                by_file = counts.by_file(added)
                rescued = any(each.rescued_rows for each in by_file.values())
                keys = observing.rescued_keys(self, added) if rescued else {}
            except Exception as error:
                raise commit_failure(error, "auditing the staged batch") from error
        rows = sum(count.rows for count in by_file.values())
        strangers = set(by_file) - {entry.file.address for entry in entries}
        if rows != staged.added_records or strangers:
            named = f", {len(strangers)} of their files not of this batch ({min(strangers)})" if strangers else ""
            raise ValueLost(
                "rows_differ",
                f"The staged batch holds {rows} rows{named}, and its snapshot says {staged.added_records}.",
                "Nothing was published.",
            )
        self._check_silent([entry for entry in entries if entry.file.address not in by_file])
        try:
            findings = observing.in_rows(self, added, keys, entries) if keys else ()
            audit = Audit(by_file, findings, {"unknown_keys": len(keys)} if keys else {})
            return audit if mode is None or findings else mode.audited(audit, attempt)
        except AutoloaderError:
            raise
        except Exception as error:
            raise commit_failure(error, "auditing the staged batch") from error

    def adopted(self, batch_id: str, found: Found) -> Audit:
        mode = self.mode()
        if mode is None:
            return Audit(self.batch_counts(batch_id))
        try:
            return mode.adopted(batch_id, found)
        except Exception as error:
            raise commit_failure(error, f"looking at batch {batch_id}") from error

    def mode(self) -> Overwrite | Merge | None:
        """What does more than append; ``None`` for a plain append."""
        match self.destination.write_mode:
            case "overwrite":
                return Overwrite(self)
            case "merge":
                return Merge(self)
        return None

    def duplicate_keys(self) -> int:
        mode = self.mode()
        return self.read(lambda _: mode.duplicates() if mode else 0, "counting keys")

    def _added(self, staged: Staged, attempt: AttemptState) -> Any:
        """The rows of this attempt: what the branch has more than its base."""
        reader = self.spark.read.option("end-snapshot-id", str(staged.snapshot_id))
        if attempt.base_snapshot_id is not None:
            reader = reader.option("start-snapshot-id", str(attempt.base_snapshot_id))
            return reader.table(self.table)
        return self.spark.table(self.branch(attempt.branch))

    def publish(self, attempt: AttemptState, staged: Staged) -> None:
        if staged.snapshot_id is None:
            return
        what = f"publishing the branch {attempt.branch}"
        with self.tagged(attempt):
            tries = itertools.count()
            self.committed(lambda: self._publish(attempt, staged, again=next(tries) > 0), what)

    def _publish(self, attempt: AttemptState, staged: Staged, *, again: bool) -> None:
        snapshot_id = staged.snapshot_id
        if again:  # the first time the table is as staging left it; where it is not, the commit is refused
            self.refresh()
        history, _ = self.history()
        main = history.refs.get("main")
        if snapshot_id is None or (main is not None and history.holds(main, snapshot_id)):
            return  # an earlier try came through, though its answer did not
        if history.refs.get(attempt.branch) != snapshot_id:
            raise LostRace("branch_changed", f"The branch {attempt.branch} does not end in what was audited.")
        try:
            own = {each.id for each in history.snapshots.values() if each.attempt == attempt.branch}
            own.update(staged.own)
            foreign = history.foreign(snapshot_id, attempt.base_snapshot_id, own)
        except BrokenChain as error:
            raise LostRace("chain_broken", f"The branch {attempt.branch} does not begin where it was made.") from error
        if foreign is not None:
            raise LostRace("foreign_snapshot", f"The branch {attempt.branch} holds a foreign snapshot ({foreign}).")
        if main is not None and main != attempt.base_snapshot_id:
            raise LostRace("lost_race", "Something else was published into the table since the branch was made.")
        name = literal(identifier(self.destination.database, self.destination.table))
        rows = self.spark.sql(
            f"CALL {identifier(self.destination.catalog)}.system.fast_forward"
            f"(table => {name}, branch => 'main', to => {literal(attempt.branch)})"
        ).collect()
        if rows[0]["updated_ref"] != snapshot_id:
            raise FatalError(
                "published_more",
                f"The branch {attempt.branch} was written to while it was published: main is at "
                f"{rows[0]['updated_ref']}, and {snapshot_id} was audited.",
                "Compare the table with the ledger (manage.py ledger verify) before the next run.",
            )

    def drop_branch(self, branch: str) -> None:
        tries = itertools.count()

        def run() -> None:
            if next(tries):
                self.refresh()
            self.spark.sql(f"ALTER TABLE {self.table} DROP BRANCH IF EXISTS {identifier(branch)}")
            if self.mode() is not None:
                StagingTable(self, branch).drop()

        try:
            self.committed(run, f"dropping the branch {branch}")
        except Exception as error:
            if not is_missing_table(error.__cause__ if isinstance(error.__cause__, Exception) else error):
                raise
