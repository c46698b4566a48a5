"""One destination table through one leased session: stage on a branch, audit there, publish by fast-forward.

The order of the steps is what makes a batch load once: the branch is made before anyone looks for the batch, it is
written by one attempt only, and main moves only if it stands where the branch began.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import AutoloaderError, FatalError, ValueLost
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts, observing, replacing
from ingestions.engine.loader.base import (
    BATCH_ID,
    PLAIN,
    SNAPSHOT_ATTEMPT,
    SNAPSHOT_BATCH,
    SOURCE_FILE,
    Audit,
    BadRow,
    Column,
    Found,
    LostRace,
    Plan,
    Staged,
    UnknownOutcome,
)
from ingestions.engine.loader.evolving import EvolvingTable
from ingestions.engine.loader.failures import commit_failure, is_missing_table
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.loader.merge import Merge
from ingestions.engine.loader.overwrite import Overwrite
from ingestions.engine.loader.publishing import Branch, publish
from ingestions.engine.loader.quarantine import Quarantine
from ingestions.engine.loader.snapshots import BrokenChain
from ingestions.engine.loader.sql import identifier
from ingestions.engine.loader.staging import StagingTable
from ingestions.engine.planner import in_parts
from ingestions.engine.schema.policy import Mode
from ingestions.engine.sources.base import SparkAccess

#: data files of a batch that one task counts; it reads two of their columns.
COUNTED_TOGETHER_BYTES = 16 * 1024**2


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
        self.quick = config.destination.write_mode == "append"
        schema = config.format.schema_
        #: whether a batch is all that a run has found, however much that is.
        self.at_once = Mode.of(schema.evolution_mode, schema.evolution_enabled) is Mode.FAIL
        self._branches: dict[str, Branch] = {}  # by name; a slice is many batches, so what is dropped is forgotten

    def open_branch(self, branch: str) -> int | None:
        if not self.our_columns_there:
            self.add_columns(())

        def run() -> int | None:
            self.refresh()
            base = self.head()
            made = f"ALTER TABLE {self.table} CREATE BRANCH {identifier(branch)}"
            if base is None:  # of an empty table the branch begins with a snapshot of its own
                self.spark.sql(made)
                return self.heads().get(branch)
            self.spark.sql(f"{made} AS OF VERSION {base:d}")
            return base

        return self.committed(run, f"creating the branch {branch}")

    def find_batch(self, branch: str, batch_id: str) -> Found | None:
        history, _ = self.history()
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

    def stage(self, entries: Sequence[Entry], *, batch_id: str, attempt: AttemptState, plan: Plan = PLAIN) -> Staged:
        addresses = [entry.file.address for entry in entries]
        self._branches[attempt.branch] = Branch(batch_id, plan)
        self.well_formed = plan.well_formed
        with self.tagged(attempt):
            try:
                return self._write(entries, batch_id, attempt)
            except Exception as error:
                raise self.read_failed(error, addresses, f"writing into {self.destination.key}") from error

    def _write(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> Staged:
        mode = self.mode()
        if mode is not None:
            return mode.stage(entries, batch_id, attempt)
        plan = self._branches[attempt.branch].plan
        emptied = replacing.delete(self, attempt, plan.replaced)
        for part in in_parts(entries, self.config.limits) if self.at_once else [entries]:
            rows, columns = self.frame(part, batch_id, careful=None if self.well_formed else plan.careful)
            self.writer(rows, self.branch(attempt.branch), batch_id, attempt.branch, columns).append()
        staged = self._staged(batch_id, attempt, emptied)
        if staged.snapshot_id is None and not self.well_formed:
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
        return self._branches[attempt.branch].batch

    def own_step(self, attempt: AttemptState, before: int | None) -> int | None:
        """The branch's head after a statement of ours that cannot carry the attempt's name; ``before`` where it made
        no snapshot. LostRace where anybody else wrote to the branch."""
        self.refresh()
        history, _ = self.history()
        head = history.refs.get(attempt.branch)
        if head != before and (head is None or history.snapshots[head].parent_id != before):
            raise LostRace("branch_changed", f"Somebody else wrote to the branch {attempt.branch}.")
        return head

    def _staged(self, batch_id: str, attempt: AttemptState, emptied: tuple[int, ...]) -> Staged:
        history, _ = self.history(detail_of=attempt.branch)
        self._branches[attempt.branch].history = history
        head = history.snapshots.get(history.refs.get(attempt.branch, -1))
        if head is None or (head.batch, head.attempt) != (batch_id, attempt.branch):
            raise LostRace("branch_changed", f"The branch {attempt.branch} does not end in what was just staged.")
        parts = [each.summary for each in history.snapshots.values() if each.attempt == attempt.branch]

        def total(name: str) -> int:
            return sum(int(summary.get(name, 0)) for summary in parts)

        if not total("added-records") and not emptied:
            return Staged(None)
        return Staged(head.id, total("added-records"), total("added-files-size"), total("added-data-files"), emptied)

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
                by_file = counts.by_file(added if mode else _together(added, staged))
                if uncertain := frozenset(file for file, count in by_file.items() if count.uncertain):
                    self._branches[attempt.branch].uncertain = True
                    return Audit(by_file, uncertain=uncertain)
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
        if not self.well_formed:
            self._check_silent([entry for entry in entries if entry.file.address not in by_file])
        self._check_replaced(attempt)
        try:
            findings = observing.in_rows(self, added, keys, entries) if keys else ()
            audit = Audit(by_file, findings, {"unknown_keys": len(keys)} if keys else {})
            return audit if mode is None or findings else mode.audited(audit, attempt)
        except AutoloaderError:
            raise
        except Exception as error:
            raise commit_failure(error, "auditing the staged batch") from error

    def _check_replaced(self, attempt: AttemptState) -> None:
        plan = self._branches[attempt.branch].plan
        left = self.rows_left(plan.replaced, attempt.branch)
        if rows := sum(left.values()):
            raise ValueLost(
                "rows_not_replaced",
                f"{rows} rows of {next(iter(left))[1]} would stand beside the rows that replace them.",
                "Nothing was published.",
            )

    def rows_left(self, pairs: Collection[tuple[str, str]], branch: str = "") -> Mapping[tuple[str, str], int]:
        try:
            return replacing.left(self, pairs, branch)
        except Exception as error:
            raise commit_failure(error, "looking for rows that are replaced") from error

    def staged_rows(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Any:
        """The rows that this attempt has staged."""
        mode = self.mode()
        return mode.added(attempt, entries) if mode else self._added(staged, attempt)

    def first_bad(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Mapping[str, BadRow]:
        try:
            return Quarantine(self).first(self.staged_rows(staged, attempt, entries), entries)
        except Exception as error:
            addresses = [entry.file.address for entry in entries]
            raise self.read_failed(error, addresses, "looking at malformed rows") from error

    def quarantine(
        self,
        staged: Staged,
        attempt: AttemptState,
        entries: Sequence[Entry],
        replaced: Collection[tuple[str, str]],
    ) -> Mapping[str, int]:
        rows = self.staged_rows(staged, attempt, entries)
        with self.tagged(attempt):
            return Quarantine(self).replace(rows, entries, self.batch_of(attempt), attempt, replaced)

    def drop_table(self) -> None:
        """With the quarantine table that this ingestion has made for it."""
        super().drop_table()
        Quarantine(self).drop()

    def unquarantine(self, batches: Collection[str], pairs: Collection[tuple[str, str]]) -> None:
        Quarantine(self).remove(batches, pairs)

    def quarantined(self) -> Mapping[tuple[str, str], int]:
        return Quarantine(self).counts()

    def adopted(self, batch_id: str, found: Found, attempt: AttemptState | None = None) -> Audit:
        mode = self.mode()
        try:
            audit = mode.adopted(batch_id, found, attempt) if mode else Audit(self.batch_counts(batch_id))
            own = self._nameless(found, attempt) if attempt else []
        except AutoloaderError:
            raise
        except Exception as error:
            raise commit_failure(error, f"looking at batch {batch_id}") from error
        return replace(audit, detail={**audit.detail, "own_snapshots": own}) if own else audit

    def _nameless(self, found: Found, attempt: AttemptState) -> list[str]:
        """Snapshots of a published attempt that cannot carry its name."""
        history, _ = self.history()
        own: list[str] = []
        for snapshot in history.known_ancestors(found.snapshot_id):
            if snapshot.id == attempt.base_snapshot_id:
                return own
            if snapshot.attempt != attempt.branch:
                own.append(str(snapshot.id))
        return own if attempt.base_snapshot_id is None else []

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
        known = self._branches.get(attempt.branch)
        if known is not None and known.uncertain:
            raise FatalError("rows_uncertain", f"Files on the branch {attempt.branch} have to be read with care first.")
        what = f"publishing the branch {attempt.branch}"
        with self.tagged(attempt):
            tries = itertools.count()
            self.committed(lambda: publish(self, attempt, staged, known, again=next(tries) > 0), what)

    def drop_branch(self, branch: str) -> None:
        tries = itertools.count()

        def run() -> None:
            if next(tries):
                self.refresh()
            self.spark.sql(f"ALTER TABLE {self.table} DROP BRANCH IF EXISTS {identifier(branch)}")
            if self.mode() is not None:
                StagingTable(self, branch).drop()
            if self.config.format.bad_rows == "quarantine" and branch not in self._branches:  # of another worker
                Quarantine(self).drop_branch(branch)

        try:
            self.committed(run, f"dropping the branch {branch}")
        except Exception as error:
            if not is_missing_table(error.__cause__ if isinstance(error.__cause__, Exception) else error):
                raise
        self._branches.pop(branch, None)


def _together(rows: Any, staged: Staged) -> Any:
    """A small batch is counted by one task: more of them would wait for each other longer than they count."""
    return rows.coalesce(1) if staged.added_bytes <= COUNTED_TOGETHER_BYTES else rows
