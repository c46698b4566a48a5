"""One destination table through one leased session: stage on a branch, audit there, publish by fast-forward.

The order of the steps is what makes a batch load once: the branch is made before anyone looks for the batch, it is
written by one attempt only, and main moves only if it stands where the branch began.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any, TypeVar

import pyspark.sql.connect.functions as F
import tenacity

from autoloader.lib.errors import FatalError, ValueLost
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts, ddl, trial
from ingestions.engine.loader.base import (
    BATCH_ID,
    DROP_TAG,
    METADATA_COLUMNS,
    RESCUED_DATA,
    SNAPSHOT_ATTEMPT,
    SNAPSHOT_BATCH,
    SOURCE_FILE,
    Audit,
    Column,
    FileCount,
    Found,
    LostRace,
    Staged,
    TableState,
    Trial,
    UnknownOutcome,
)
from ingestions.engine.loader.convert import Converter
from ingestions.engine.loader.failures import Contention, commit_failure, is_missing_table, read_failure
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.loader.infer import Inference
from ingestions.engine.loader.matching import Rules, is_reserved, unmatched
from ingestions.engine.loader.merge import Merge
from ingestions.engine.loader.overwrite import Overwrite
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.rows import CORRUPT_RECORD, FILE_PATH, table_rows
from ingestions.engine.loader.snapshots import BrokenChain, History, Snapshot
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.loader.staging import StagingTable
from ingestions.engine.schema import types
from ingestions.engine.sources.base import SparkAccess

T = TypeVar("T")
#: a batch of many shapes is written by at most one task for so many bytes of input, so that it makes few files.
BYTES_PER_TASK = 32 * 1024**2
#: so many new names a batch are looked at; a feed whose keys are data would ask for a column each.
MAX_UNKNOWN = 1000


class SparkTableLoader:
    """The :class:`~ingestions.engine.loader.base.TableLoader` over Spark Connect and Iceberg."""

    def __init__(
        self,
        spark: Any,
        *,
        session_id: str,
        config: IngestionConfig,
        access: SparkAccess,
        weigh: Weigh | None = None,
    ) -> None:
        self.spark = spark
        self.session_id = session_id
        self.config = config
        self.access = access
        self.destination = config.destination
        self.table = ddl.table_name(config.destination)
        self.rules = Rules.of(config.format.columns, config.format.schema_.hints)
        self.readers = Readers(spark, config, access, self.rules, weigh)
        self._our_columns_there = False  # as far as this loader has seen
        self._opened: tuple[str, History] | None = None  # the branch made last, and the ancestors that it has for ever
        self._batches: dict[str, str] = {}  # branch -> the batch that was staged on it
        self.converter = Converter(zone_shifts=config.format.timezone.upper() != "UTC", end=uuid.uuid4().hex)

    # the table

    def state(self, *, counted: bool = True) -> TableState | None:
        try:
            self.refresh()  # passes where the session still remembers a table that is gone
            columns = self.columns()
            history, rows = self.history(totals=True) if counted else (History(), None)
        except Exception as error:
            if is_missing_table(error):
                return None
            raise commit_failure(error, f"reading the table {self.destination.key}") from error
        self._our_columns_there = {name for name, _ in METADATA_COLUMNS} <= {column.name for column in columns}
        return TableState(columns, history.refs.get("main"), rows)

    def create(self, columns: Sequence[Column]) -> tuple[str, ...]:
        namespace, table, *order = self.planned(columns, None)
        refused: Exception | None = None
        try:
            self.spark.sql(namespace)
        except Exception as error:  # it may be there already, and making one not allowed: then the table can be made
            refused = error
        what = f"creating the table {self.destination.key}"
        try:
            self._committed(lambda: self.spark.sql(table), what)
            if order:
                self._committed(lambda: self.spark.sql(order[0]), what)
        except Exception:
            if refused is not None:
                raise commit_failure(refused, f"creating the database {self.destination.database}") from refused
            raise
        return (table, *order) if refused else (namespace, table, *order)

    def planned(self, columns: Sequence[Column], table: TableState | None) -> tuple[str, ...]:
        if table is not None:
            missing = self._additions(columns, table.columns)
            return (ddl.add_columns(self.destination, missing),) if missing else ()
        kept = [column for column in columns if not is_reserved(column.name)]
        fields = (*kept, *(Column(name, type_) for name, type_ in METADATA_COLUMNS))
        mode = self.mode()
        if mode is not None:
            mode.check(fields)
        if self.destination.optimization.z_ordering_enabled:
            ddl.z_order(self.destination, fields)
        statements = [
            ddl.create_namespace(self.destination),
            ddl.create_table(self.destination, kept),
            ddl.write_order(self.destination, kept),
        ]
        return tuple(statement for statement in statements if statement)

    def _additions(self, columns: Sequence[Column], there: Sequence[Column]) -> list[Column]:
        """Of these columns and ours those that the table has not."""
        known = {column.name.lower() for column in there}
        wanted = [column for column in columns if not is_reserved(column.name)]
        wanted += [Column(name, type_) for name, type_ in METADATA_COLUMNS]
        return [column for column in wanted if column.name.lower() not in known]

    def add_columns(self, columns: Sequence[Column]) -> tuple[str, ...]:
        def run() -> tuple[str, ...]:
            self.refresh()
            missing = self._additions(columns, self.columns())
            if not missing:
                return ()
            statement = ddl.add_columns(self.destination, missing)
            self.spark.sql(statement)
            return (statement,)

        return self._committed(run, f"adding columns to {self.destination.key}")

    def check_existing(self, entries: Sequence[Entry], table: TableState) -> None:
        mode = self.mode()
        addresses = [entry.file.address for entry in entries]
        names = {column.name.lower() for column in table.columns}
        fresh = [column for column in self._inferred(entries) if column.name.lower() not in names]
        if mode is not None:
            mode.check((*table.columns, *fresh))
        try:
            trial.check_existing(self, entries, table)
        except Exception as error:
            raise self._read_failure(error, addresses, f"comparing the files with {self.destination.key}") from error

    def trial(self, entries: Sequence[Entry], columns: Sequence[Column], show: int) -> Trial:
        addresses = [entry.file.address for entry in entries]
        try:
            return trial.run(self, entries, columns, show)
        except Exception as error:
            raise self._read_failure(error, addresses, "reading the files") from error

    def optimize(self) -> Mapping[str, object]:
        self.refresh()
        rows = self._committed(
            lambda: self.spark.sql(ddl.z_order(self.destination, self.columns())).collect(),
            f"z-ordering {self.destination.key}",
        )
        return {name: count for name, count in rows[0].asDict().items() if count}

    def missing(self, shapes: Sequence[Shape], table: TableState) -> tuple[str, ...]:
        names = (column.name for shape in shapes for column in shape.columns)
        return unmatched(names, table.columns, self.rules)

    def infer(self, entries: Sequence[Entry], only: Sequence[str] | None = None) -> tuple[Column, ...]:
        schema = self.config.format.schema_
        if only is None and schema.inference == "manual" and schema.schema_json_:
            return tuple(Column(field.name, str(field.type)) for field in types.parse_columns(schema.schema_json_))
        found = self._inferred(entries)
        fixed = {name: str(types.storable(types.parse(text))) for name, text in self.rules.types.items()}
        if only is None:
            lower = {column.name.lower() for column in found}
            found += [Column(name, type_) for name, type_ in fixed.items() if name.lower() not in lower]
        else:
            wanted = {name.lower() for name in only}
            found = [column for column in found if column.name.lower() in wanted]
        return tuple(Column(column.name, fixed.get(column.name, column.type)) for column in found)

    def _inferred(self, entries: Sequence[Entry]) -> list[Column]:
        addresses = [entry.file.address for entry in entries]
        try:
            guessed = Inference(self.readers, self.converter).columns(entries)
        except Exception as error:
            raise self._read_failure(error, addresses, "inferring the columns' types") from error
        columns: dict[str, Column] = {}
        for name, type_ in guessed.items():
            target = self.rules.target(name)
            if target and not is_reserved(target):
                columns.setdefault(target.lower(), Column(target, str(type_)))
        return list(columns.values())

    # stage, audit, publish

    def open_branch(self, branch: str) -> int | None:
        if not self._our_columns_there:
            self.add_columns(())

        def run() -> int | None:
            self.refresh()
            self.spark.sql(f"ALTER TABLE {self.table} CREATE BRANCH {identifier(branch)}")
            history, _ = self.history()
            self._opened = branch, history
            return history.refs.get(branch)

        return self._committed(run, f"creating the branch {branch}")

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
        with self._tagged(attempt):
            try:
                return self._write(entries, batch_id, attempt)
            except Exception as error:
                raise self._read_failure(error, addresses, f"writing into {self.destination.key}") from error

    def _write(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> Staged:
        mode = self.mode()
        if mode is not None:
            return mode.stage(entries, batch_id, attempt)
        rows, columns = self.frame(entries, batch_id)
        self.writer(rows, self.branch(attempt.branch), batch_id, attempt.branch, columns).append()
        staged = self._staged(batch_id, attempt)
        if staged.snapshot_id is None:
            self._check_silent(entries)
        return staged

    def frame(
        self, entries: Sequence[Entry], batch_id: str, columns: tuple[Column, ...] | None = None
    ) -> tuple[Any, tuple[Column, ...]]:
        """The rows of these files as a frame with exactly the table's columns, and those columns."""
        columns = self.columns() if columns is None else columns
        groups: dict[Shape, list[str]] = {}
        for entry in entries:
            if entry.shape is None:
                raise FatalError("shape_unknown", f"The shape of {entry.file.address} is not known yet.")
            groups.setdefault(entry.shape, []).append(entry.file.address)
        frames = [
            table_rows(self.readers.raw_frame(shape, files, columns, self.converter), columns, batch_id, self.converter)
            for shape, files in groups.items()
        ]
        rows = _union(frames)
        if len(frames) > 1:
            size = sum(entry.file.size_bytes for entry in entries)
            rows = rows.coalesce(max(2, -(-size // BYTES_PER_TASK)))
        return rows, columns

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
        summary = head.summary
        if not int(summary.get("added-records", 0)):
            return Staged(None)
        return Staged(
            head.id,
            int(summary["added-records"]),
            int(summary.get("added-files-size", 0)),
            int(summary.get("added-data-files", 0)),
        )

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
            raise self._read_failure(error, addresses, "looking for files without rows") from error
        if found:
            folders.distrust()
            raise LostRace("files_missed", f"The listing of its folder did not show {found[0][SOURCE_FILE]}.")

    def audit(self, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> Audit:
        if staged.snapshot_id is None:
            return Audit({})
        mode = self.mode()
        with self._tagged(attempt):
            try:
                added = mode.added(attempt, entries) if mode else self._added(staged, attempt)
                by_file = counts.by_file(added)
                asked = self._asked(added, entries) if any(each.rescued_rows for each in by_file.values()) else {}
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
        unknown = self._unknown(asked, entries)
        detail = {"unknown_keys": len(asked)} if asked else {}
        if mode is None or unknown:
            return Audit(by_file, unknown, detail)
        try:
            return mode.audited(Audit(by_file, unknown, detail), attempt)
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

    def _added(self, staged: Staged, attempt: AttemptState) -> Any:
        """The rows of this attempt: what the branch has more than its base."""
        reader = self.spark.read.option("end-snapshot-id", str(staged.snapshot_id))
        if attempt.base_snapshot_id is not None:
            reader = reader.option("start-snapshot-id", str(attempt.base_snapshot_id))
            return reader.table(self.table)
        return self.spark.table(self.branch(attempt.branch))

    def _asked(self, added: Any, entries: Sequence[Entry]) -> dict[str, str]:
        """Names in ``_rescued_data`` that are no column of the table → one file that has it."""
        known = {column.name.lower() for column in self.columns()}
        keys = added.where(F.col(RESCUED_DATA).isNotNull()).select(
            F.explode(F.json_object_keys(F.col(RESCUED_DATA))).alias("key"), F.col(SOURCE_FILE).alias("file")
        )
        rows = (
            keys.where(~F.lower("key").isin(*known, CORRUPT_RECORD, FILE_PATH))
            .groupBy("key")
            .agg(F.count(F.lit(1)).alias("rows"), F.min("file").alias("file"))
            .orderBy(F.desc("rows"), "key")
            .limit(MAX_UNKNOWN)
            .collect()
        )
        return {row["key"]: row["file"] for row in rows if not is_reserved(row["key"])}

    def _unknown(self, asked: Mapping[str, str], entries: Sequence[Entry]) -> tuple[Column, ...]:
        if not asked:
            return ()
        names = unmatched(asked, self.columns(), self.rules)
        schema = self.config.format.schema_
        if not schema.evolution_enabled or schema.evolution_mode in ("none", "rescue"):
            return tuple(Column(name, "string") for name in names)
        files = set(asked.values())
        return self.infer([entry for entry in entries if entry.file.address in files], names)

    def publish(self, attempt: AttemptState, staged: Staged) -> None:
        if staged.snapshot_id is None:
            return
        what = f"publishing the branch {attempt.branch}"
        with self._tagged(attempt):
            tries = itertools.count()
            self._committed(lambda: self._publish(attempt, staged, again=next(tries) > 0), what)

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
            self._committed(run, f"dropping the branch {branch}")
        except Exception as error:
            if not is_missing_table(error.__cause__ if isinstance(error.__cause__, Exception) else error):
                raise

    def drop_table(self) -> None:
        """Without PURGE. That would delete every file that the table refers to, also such as were only registered with
        it, and cannot be taken back; without it a catalog that keeps the files lets a person register the table again.
        The hadoop catalog deletes the table's own folder either way.
        """
        self.spark.addTag(DROP_TAG)
        try:
            self.spark.sql(f"DROP TABLE IF EXISTS {self.table}")
        except Exception as error:
            if not is_missing_table(error):
                raise commit_failure(error, f"dropping the table {self.destination.key}") from error
        finally:
            self.spark.removeTag(DROP_TAG)

    # looking

    def rows_by_batch(self) -> Mapping[str, int]:
        def run(table: Any) -> dict[str, int]:
            if BATCH_ID not in table.columns:
                return {"": table.count()}
            counted = table.groupBy(BATCH_ID).agg(F.count(F.lit(1)).alias("rows")).collect()
            return {row[BATCH_ID] or "": row["rows"] for row in counted}

        return self._read(run, "counting rows per batch")

    def batch_counts(self, batch_id: str) -> Mapping[str, FileCount]:
        return self._read(
            lambda table: counts.by_file(table.where(F.col(BATCH_ID) == batch_id)), "counting rows per file"
        )

    def table_counts(self) -> Mapping[str, FileCount]:
        return self._read(counts.by_file, "counting rows per file")

    def duplicate_keys(self) -> int:
        mode = self.mode()
        return self._read(lambda _: mode.duplicates() if mode else 0, "counting keys")

    def foreign_snapshots(self, own: Collection[int]) -> Sequence[int]:
        def run(_: Any) -> list[int]:
            history, _totals = self.history()
            changes = ("added-records", "deleted-records", "added-position-deletes", "added-equality-deletes")
            nothing = " AND ".join(f"coalesce(summary['{change}'], '0') = '0'" for change in changes)
            harmless = self.spark.sql(
                f"SELECT snapshot_id FROM {self._metadata('snapshots')} "  # noqa: S608  # a quoted name
                f"WHERE operation = 'replace' OR ({nothing})"
            ).collect()
            rewrites = {row["snapshot_id"] for row in harmless}
            found = []
            try:
                for snapshot in history.ancestors(history.refs.get("main")):
                    if not snapshot.attempt and snapshot.id not in own and snapshot.id not in rewrites:
                        found.append(snapshot.id)
            except BrokenChain:
                pass  # older ones are expired: what is there is what can be told
            return found

        return self._read(run, "reading the history")

    def rows_by_batch_and_file(self) -> Mapping[tuple[str, str], int]:
        return self._read(counts.by_batch_and_file, "counting rows per batch and file")

    def sample_rows(self, limit: int) -> list[dict[str, object]]:
        def run(table: Any) -> list[dict[str, object]]:
            row = F.to_json(F.struct(F.col("*")), {"ignoreNullFields": "false"}).alias("row")
            return [json.loads(each["row"]) for each in table.limit(limit).select(row).collect()]

        return self._read(run, "reading rows")

    def _read(self, run: Callable[[Any], T], what: str) -> T:
        try:
            self.refresh()
            return run(self.spark.table(self.table))
        except Exception as error:
            raise commit_failure(error, f"{what} of {self.destination.key}") from error

    # parts

    def refresh(self) -> None:
        self.spark.sql(f"REFRESH TABLE {self.table}")

    def _metadata(self, name: str) -> str:
        """A metadata table, as it is now. Iceberg's cache takes a name with a dot apart when it drops what belongs to
        a table, and so keeps its metadata tables as they were (seen with 1.10)."""
        table = ddl.table_name(self.destination, name)
        if "." in self.destination.table or "." in self.destination.database:
            self.spark.sql(f"REFRESH TABLE {table}")
        return table

    def branch(self, branch: str) -> str:
        return ddl.table_name(self.destination, f"branch_{branch}")

    def columns(self) -> tuple[Column, ...]:
        fields = self.spark.table(self.table).schema.jsonValue()["fields"]
        return tuple(
            Column(field["name"], str(types.from_json(field["type"])), required=not field["nullable"])
            for field in fields
        )

    def history(self, *, totals: bool = False, detail_of: str = "") -> tuple[History, int | None]:
        """All snapshots and refs in one query; with ``totals`` the rows that main's head says the table has, with
        ``detail_of`` the summaries of that attempt's snapshots."""
        snapshots, refs = self._metadata("snapshots"), self._metadata("refs")
        total = "summary['total-records']" if totals else "NULL"
        own = f"summary[{literal(SNAPSHOT_ATTEMPT)}] = {literal(detail_of)}"
        detail = f"CASE WHEN {own} THEN summary END" if detail_of else "NULL"
        rows = self.spark.sql(
            "SELECT name, snapshot_id, NULL AS parent_id, NULL AS batch, NULL AS attempt, NULL AS total, "  # noqa: S608  # names are quoted
            f"NULL AS detail FROM {refs} "
            f"UNION ALL SELECT NULL, snapshot_id, parent_id, summary[{literal(SNAPSHOT_BATCH)}], "
            f"summary[{literal(SNAPSHOT_ATTEMPT)}], {total}, {detail} FROM {snapshots}"
        ).collect()
        chain = {
            row["snapshot_id"]: Snapshot(
                row["snapshot_id"], row["parent_id"], row["batch"], row["attempt"], dict(row["detail"] or {})
            )
            for row in rows
            if row["name"] is None
        }
        heads = {row["name"]: row["snapshot_id"] for row in rows if row["name"] is not None}
        counted = [row["total"] for row in rows if row["name"] is None and row["snapshot_id"] == heads.get("main")]
        return History(chain, heads), int(counted[0]) if counted and counted[0] is not None else None

    def summary(self, snapshot_id: int) -> dict[str, str]:
        snapshots = self._metadata("snapshots")
        query = f"SELECT summary FROM {snapshots} WHERE snapshot_id = {snapshot_id:d}"  # noqa: S608  # names are quoted
        rows = self.spark.sql(query).collect()
        return dict(rows[0]["summary"]) if rows else {}

    def _committed(self, run: Callable[[], T], what: str) -> T:
        """Runs a metadata change; contention is a matter of trying again, a few times."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Contention),
            stop=tenacity.stop_after_attempt(6),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        )

        def once() -> T:
            try:
                return run()
            except Exception as error:
                raise commit_failure(error, what) from error

        return retrying(once)

    def _read_failure(self, error: Exception, addresses: Sequence[str], what: str) -> Exception:
        return read_failure(error, addresses, self.access, what)

    @contextmanager
    def _tagged(self, attempt: AttemptState) -> Iterator[None]:
        """Lets another client interrupt what runs inside, by session and tag."""
        self.spark.addTag(attempt.tag)
        try:
            yield
        finally:
            self.spark.removeTag(attempt.tag)


def _union(frames: list[Any]) -> Any:
    """All frames have the same columns in the same order."""
    return reduce(lambda one, other: one.union(other), frames)
