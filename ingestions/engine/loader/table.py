"""One Iceberg table through one session: its columns, its history, its rows counted where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pyspark.sql.connect.functions as F
import tenacity

from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import AttemptState
from ingestions.engine.loader import asking, counts, ddl
from ingestions.engine.loader.base import (
    BATCH_ID,
    SNAPSHOT_ATTEMPT,
    SNAPSHOT_BATCH,
    Column,
    FileCount,
)
from ingestions.engine.loader.failures import Contention, commit_failure, read_failure
from ingestions.engine.loader.snapshots import BrokenChain, History, Snapshot
from ingestions.engine.loader.sql import literal
from ingestions.engine.schema import types
from ingestions.engine.sources.base import SparkAccess

T = TypeVar("T")


class IcebergTable:
    """What can be asked of a table. Public here is what the other modules of the loader build on."""

    def __init__(self, spark: Any, config: IngestionConfig, access: SparkAccess) -> None:
        self.spark = spark
        self.config = config
        self.access = access
        self.destination = config.destination
        self.table = ddl.table_name(config.destination)

    def refresh(self) -> None:
        self.spark.sql(f"REFRESH TABLE {self.table}")

    def metadata(self, name: str) -> str:
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
        snapshots, refs = self.metadata("snapshots"), self.metadata("refs")
        total = "summary['total-records']" if totals else "NULL"
        own = f"summary[{literal(SNAPSHOT_ATTEMPT)}] = {literal(detail_of)}"
        detail = f"CASE WHEN {own} THEN summary END" if detail_of else "NULL"
        rows = asking.rows(
            self.spark,
            "SELECT name, snapshot_id, NULL AS parent_id, NULL AS batch, NULL AS attempt, NULL AS total, "
            f"NULL AS detail FROM {refs} "
            f"UNION ALL SELECT NULL, snapshot_id, parent_id, summary[{literal(SNAPSHOT_BATCH)}], "
            f"summary[{literal(SNAPSHOT_ATTEMPT)}], {total}, {detail} FROM {snapshots}",
        )
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

    def heads(self) -> dict[str, int]:
        """Where the branches point now."""
        rows = asking.rows(self.spark, f"SELECT name, snapshot_id FROM {self.metadata('refs')}")
        return {row["name"]: row["snapshot_id"] for row in rows}

    def head(self) -> int | None:
        """Main's snapshot as this session knows the table; ``None`` where it has none, or the catalog does not say."""
        said = asking.answer(self.spark, f"SHOW TBLPROPERTIES {self.table} ('current-snapshot-id')")
        text = str(said[0]["value"]) if said else ""
        return int(text) if text.isdecimal() else None

    def summary(self, snapshot_id: int) -> dict[str, str]:
        snapshots = self.metadata("snapshots")
        rows = asking.rows(self.spark, f"SELECT summary FROM {snapshots} WHERE snapshot_id = {snapshot_id:d}")
        return dict(rows[0]["summary"]) if rows else {}

    def committed(self, run: Callable[[], T], what: str) -> T:
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

    def read_failed(self, error: Exception, addresses: Sequence[str], what: str) -> Exception:
        return read_failure(error, addresses, self.access, what)

    @contextmanager
    def tagged(self, attempt: AttemptState) -> Iterator[None]:
        """Lets another client interrupt what runs inside, by session and tag."""
        self.spark.addTag(attempt.tag)
        try:
            yield
        finally:
            self.spark.removeTag(attempt.tag)

    # looking

    def rows_by_batch(self) -> Mapping[str, int]:
        def run(table: Any) -> dict[str, int]:
            if BATCH_ID not in table.columns:
                return {"": table.count()}
            counted = table.groupBy(BATCH_ID).agg(F.count(F.lit(1)).alias("rows")).collect()
            return {row[BATCH_ID] or "": row["rows"] for row in counted}

        return self.read(run, "counting rows per batch")

    def batch_counts(self, batch_id: str) -> Mapping[str, FileCount]:
        return self.read(
            lambda table: counts.by_file(table.where(F.col(BATCH_ID) == batch_id)), "counting rows per file"
        )

    def table_counts(self) -> Mapping[str, FileCount]:
        return self.read(counts.by_file, "counting rows per file")

    def foreign_snapshots(self, own: Collection[int]) -> Sequence[int]:
        def run(_: Any) -> list[int]:
            history, _totals = self.history()
            changes = ("added-records", "deleted-records", "added-position-deletes", "added-equality-deletes")
            nothing = " AND ".join(f"coalesce(summary['{change}'], '0') = '0'" for change in changes)
            harmless = self.spark.sql(
                f"SELECT snapshot_id FROM {self.metadata('snapshots')} WHERE operation = 'replace' OR ({nothing})"
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

        return self.read(run, "reading the history")

    def rows_by_batch_and_file(self) -> Mapping[tuple[str, str], int]:
        return self.read(counts.by_batch_and_file, "counting rows per batch and file")

    def sample_rows(self, limit: int) -> list[dict[str, object]]:
        def run(table: Any) -> list[dict[str, object]]:
            row = F.to_json(F.struct(F.col("*")), {"ignoreNullFields": "false"}).alias("row")
            return [json.loads(each["row"]) for each in table.limit(limit).select(row).collect()]

        return self.read(run, "reading rows")

    def read(self, run: Callable[[Any], T], what: str) -> T:
        try:
            self.refresh()
            return run(self.spark.table(self.table))
        except Exception as error:
            raise commit_failure(error, f"{what} of {self.destination.key}") from error
