"""Rows into a table by their keys: one row a key, that with the highest order; the others are superseded.

Of several rows with one key in a batch the order column decides, then the file's time, then the place in the file. The
batch's rows stand in a staging table meanwhile: they are read from the source once, and counted and proved there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autoloader.lib.errors import DataStop, FatalError, FileError
from ingestions.engine.conditions import parse
from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts
from ingestions.engine.loader.base import (
    BATCH_ID,
    FILE_MODIFIED_AT,
    RESCUED_DATA,
    SOURCE_FILE,
    Audit,
    Column,
    Found,
    Staged,
)
from ingestions.engine.loader.ddl import merge_keys, required_column
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.loader.staging import StagingTable

if TYPE_CHECKING:
    from ingestions.engine.loader.loader import SparkTableLoader

#: helper columns of our statements; no feed has them.
_DELETES, _PLACE, _RANK = "`autoloader deletes`", "`autoloader place`", "`autoloader rank`"
_HIGHEST = "`autoloader highest`"
#: the key in ``_rescued_data`` of a row whose merge key is empty.
EMPTY_KEY = "_empty_merge_key"


class Merge:
    def __init__(self, loader: SparkTableLoader) -> None:
        self.loader = loader
        self.spark = loader.spark
        self.destination = loader.destination
        self._columns: tuple[Column, ...] = ()

    def check(self, columns: Sequence[Column]) -> None:
        """Whether the table has the columns that the configuration speaks of. Raises ConfigError with the field."""
        self.keys = merge_keys(self.destination, columns)

    # ---- stage

    def stage(self, entries: Sequence[Entry], batch_id: str, attempt: AttemptState) -> Staged:
        """The rows into the staging table, then ``MERGE`` into the branch, then an empty append that seals it: a
        snapshot of ``MERGE`` cannot say which batch and attempt it is."""
        self.check(self.loader.columns())
        staging = StagingTable(self.loader, attempt.branch)
        staging.drop()  # of an earlier call in this attempt, which lost its answer
        self._columns = staging.fill(entries, batch_id)
        read = self._count(staging.name)
        self._check_keys(staging)
        base = attempt.base_snapshot_id
        self.spark.sql(self._statement(staging, attempt))
        merged = self.loader.own_step(attempt, base)
        branch = self.loader.branch(attempt.branch)
        empty = self.spark.table(branch).limit(0)
        self.loader.writer(empty, branch, batch_id, attempt.branch, self._columns).append()
        history, _ = self.loader.history()
        head = history.refs[attempt.branch]
        summary = self.loader.summary(merged) if merged is not None else {}
        own = (merged,) if merged is not None and merged != base else ()
        return Staged(
            head,
            read,
            int(summary.get("added-files-size", 0)),
            int(summary.get("added-data-files", 0)),
            own,
        )

    def _count(self, table: str) -> int:
        return int(self.spark.sql(f"SELECT count(*) AS n FROM {table}").collect()[0]["n"])

    def _quoted(self, prefix: str = "") -> list[str]:
        return [prefix + identifier(key.name) for key in self.keys]

    def _given(self, prefix: str = "") -> str:
        return " AND ".join(f"{key} IS NOT NULL" for key in self._quoted(prefix))

    def _check_keys(self, staging: StagingTable) -> None:
        """Raises where a key is empty and may not be, or stands twice and nothing says which row counts."""
        if self.destination.null_keys == "fail":
            found = self.spark.sql(
                f"SELECT {SOURCE_FILE}, count(*) AS n FROM {staging.name} WHERE NOT ({self._given()}) "
                "GROUP BY 1 ORDER BY 1 LIMIT 1"
            ).collect()
            if found:
                names = ", ".join(key.name for key in self.keys)
                raise FileError(
                    "empty_key",
                    f"{found[0]['n']} rows of {found[0][SOURCE_FILE]} have no value in the merge key ({names}).",
                    "Correct the file, or set destination.null_keys to rescue: such rows are then kept and marked.",
                    path=found[0][SOURCE_FILE],
                )
        if not self.destination.order_by:
            self._check_unique(staging)

    def _check_unique(self, staging: StagingTable) -> None:
        keys = ", ".join(self._quoted())
        found = self.spark.sql(
            f"SELECT to_json(named_struct({self._named()})) AS key, count(*) AS n, min({SOURCE_FILE}) AS first, "
            f"max({SOURCE_FILE}) AS last FROM {staging.name} WHERE {self._given()} GROUP BY {keys} HAVING count(*) > 1 "
            "ORDER BY 1 LIMIT 1"
        ).collect()
        if found:
            row = found[0]
            files = row["first"] if row["first"] == row["last"] else f"{row['first']} and {row['last']}"
            raise DataStop(
                "duplicate_key",
                f"The key {row['key']} stands in {row['n']} rows of one batch, in {files}, and nothing says which of "
                "them counts.",
                "Set destination.order_by to the column whose highest value counts. Nothing was published, the files "
                "wait.",
            )

    def _named(self, prefix: str = "") -> str:
        return ", ".join(f"{literal(key.name)}, {prefix}{identifier(key.name)}" for key in self.keys)

    # ---- the statement

    def _deletes(self, prefix: str = "") -> str:
        if not self.destination.delete_when:
            return "false"
        condition = parse(self.destination.delete_when, "destination.delete_when")

        def name(written: str) -> str:
            return prefix + identifier(required_column(written, self._columns, "destination.delete_when").name)

        return f"coalesce(({condition.sql(name)}), false)"

    def _order(self) -> str | None:
        if not self.destination.order_by:
            return None
        return identifier(required_column(self.destination.order_by, self._columns, "destination.order_by").name)

    def _winners(self, staging: StagingTable) -> str:
        """A query for one row a key, whole, with whether it deletes. Rows without a key are not in it."""
        keys, order = ", ".join(self._quoted()), self._order()
        ranking = [
            *([f"{order} DESC NULLS LAST"] if order else []),
            f"{FILE_MODIFIED_AT} DESC NULLS LAST",
            f"{SOURCE_FILE} DESC",
            f"{_PLACE} DESC",
        ]
        place = "struct(regexp_extract(_file, '[^/]+$', 0), _pos)"
        names = ", ".join(identifier(column.name) for column in self._columns)
        return (
            f"SELECT {names}, {self._deletes()} AS {_DELETES} FROM ("
            f"SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {', '.join(ranking)}) AS {_RANK} FROM ("
            f"SELECT {names}, {place} AS {_PLACE} FROM {staging.name} WHERE {self._given()})) "
            f"WHERE {_RANK} = 1"
        )

    def _keyless(self, staging: StagingTable) -> str:
        """Rows without a key: each stays a row of its own, marked in ``_rescued_data``."""
        named = (
            f"IF({quoted} IS NULL, {literal(key.name)}, NULL)"
            for key, quoted in zip(self.keys, self._quoted(), strict=True)
        )
        missing = f"{literal(EMPTY_KEY)}, concat_ws(', ', {', '.join(named)})"
        bare = f"to_json(named_struct({missing}))"
        mark = f"to_json(named_struct({missing}, '_file_path', {SOURCE_FILE}))"
        joined = f"concat(substring({bare}, 1, length({bare}) - 1), ',', substring({RESCUED_DATA}, 2))"
        marked = f"IF({RESCUED_DATA} IS NULL, {mark}, {joined})"
        names = ", ".join(
            f"{marked} AS {RESCUED_DATA}" if column.name == RESCUED_DATA else identifier(column.name)
            for column in self._columns
        )
        return f"SELECT {names}, false AS {_DELETES} FROM {staging.name} WHERE NOT ({self._given()})"

    def _statement(self, staging: StagingTable, attempt: AttemptState) -> str:
        names = [identifier(column.name) for column in self._columns]
        matched = " AND ".join(f"t.{key} = s.{key}" for key in self._quoted())
        newer = self._newer()
        deletes = f"WHEN MATCHED AND s.{_DELETES} AND {newer} THEN DELETE " if self.destination.delete_when else ""
        return (
            f"MERGE INTO {self.loader.branch(attempt.branch)} t USING ({self._winners(staging)} UNION ALL "
            f"{self._keyless(staging)}) s ON {matched} {deletes}"
            f"WHEN MATCHED AND NOT s.{_DELETES} AND {newer} THEN UPDATE SET "
            f"{', '.join(f't.{name} = s.{name}' for name in names)} "
            f"WHEN NOT MATCHED AND NOT s.{_DELETES} THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join(f's.{name}' for name in names)})"
        )

    def _newer(self) -> str:
        """Whether the batch's row counts against the table's: by order, then by the file's time."""
        order = self._order()
        if order is None:
            return "true"
        time = FILE_MODIFIED_AT
        return (
            f"(t.{order} IS NULL OR coalesce(s.{order} > t.{order} OR (s.{order} = t.{order} AND "
            f"coalesce(s.{time} >= t.{time}, true)), false))"
        )

    # ---- audit

    def added(self, attempt: AttemptState, entries: Sequence[Entry]) -> Any:
        """What was read, row by row: the staging table."""
        return StagingTable(self.loader, attempt.branch).rows()

    def audited(self, audit: Audit, attempt: AttemptState) -> Audit:
        """Adds to the detail what became of the rows read, and proves that each key's winner is in the table."""
        self._columns = self.loader.columns()
        self.check(self._columns)
        branch, staging = self.loader.branch(attempt.branch), StagingTable(self.loader, attempt.branch)
        self._check_winners(staging, branch)
        merge = self._became(audit.rows, staging, attempt, self.loader.batch_of(attempt), branch)
        return replace(audit, detail={**audit.detail, "merge": merge})

    def _became(
        self, read: int, staging: StagingTable, attempt: AttemptState, batch: str, merged: str
    ) -> dict[str, int]:
        """What became of the rows read; ``merged`` is the table as the batch has left it."""
        base = self._base(attempt)
        written = self._count(f"{merged} WHERE {BATCH_ID} = {literal(batch)}")
        inserted = self._inserted(staging, base)
        updated = written - inserted
        before = self._count(base) if base else 0
        deleted = before + inserted - self._count(merged)
        superseded = read - inserted - updated - deleted
        if min(updated, deleted, superseded) < 0:
            raise FatalError(
                "merge_disagrees",
                f"The merge of {read} rows does not add up: {inserted} inserted, {updated} updated, {deleted} "
                f"deleted, {superseded} superseded. Nothing was published.",
                "Run again; if it repeats, report it with the run's log.",
            )
        return {
            "read": read, "inserted": inserted, "updated": updated, "deleted": deleted, "superseded": superseded,
        }  # fmt: skip

    def _is_there(self, snapshot_id: int | None) -> bool:
        """Whether the snapshot was not expired since."""
        return snapshot_id is None or snapshot_id in self.loader.history()[0].snapshots

    def _base(self, attempt: AttemptState) -> str:
        if attempt.base_snapshot_id is None:
            return ""
        return f"{self.loader.table} VERSION AS OF {attempt.base_snapshot_id:d}"

    def _inserted(self, staging: StagingTable, base: str) -> int:
        """Keys that the table had not, and rows without a key."""
        keyless = self._count(f"{staging.name} WHERE NOT ({self._given()})")
        matched = " AND ".join(f"t.{key} = s.{key}" for key in self._quoted())
        new = f"({self._winners(staging)}) s"
        if base:
            keys = ", ".join(self._quoted())
            new += f" LEFT ANTI JOIN (SELECT {keys} FROM {base}) t ON {matched}"
        return keyless + self._count(f"{new} WHERE NOT s.{_DELETES}")

    def _check_winners(self, staging: StagingTable, branch: str) -> None:
        """Each key of the batch stands in the table once, no older than the batch's winner, or not at all where the
        winner deletes."""
        keys, order = ", ".join(self._quoted()), self._order()
        highest = f", max({order}) AS {_HIGHEST}" if order else ""
        matched = " AND ".join(f"t.{key} = s.{key}" for key in self._quoted())
        older = f" OR coalesce(t.{_HIGHEST} < s.{order}, s.{order} IS NOT NULL)" if order else ""
        kept = f"coalesce(t.{_HIGHEST} >= s.{order}, s.{order} IS NULL)"
        stays = f" AND NOT {kept}" if order else ""
        found = self.spark.sql(
            f"SELECT to_json(named_struct({self._named('s.')})) AS key, t.n FROM ({self._winners(staging)}) s "
            f"LEFT JOIN (SELECT {keys}, count(*) AS n{highest} FROM {branch} GROUP BY {keys}) t ON {matched} "
            f"WHERE (NOT s.{_DELETES} AND (t.n IS NULL OR t.n <> 1{older})) OR "
            f"(s.{_DELETES} AND t.n IS NOT NULL{stays}) LIMIT 1"
        ).collect()
        if not found:
            return
        key, count = found[0]["key"], found[0]["n"]
        if count is not None and count > 1:
            raise DataStop(
                "keys_not_unique",
                f"The table {self.destination.key} holds the key {key} {count} times, so rows cannot be merged by it.",
                "Choose merge keys that are unique in the table, or remove the duplicates; the files wait.",
            )
        raise FatalError(
            "winner_missing",
            f"The row that counts for the key {key} would not be in the table. Nothing was published.",
            "Run again; if it repeats, report it with the run's log.",
        )

    def duplicates(self) -> int:
        """Keys that stand more than once in the table."""
        self._columns = self.loader.columns()
        self.check(self._columns)
        keys = ", ".join(self._quoted())
        return self._count(
            f"(SELECT {keys} FROM {self.loader.table} WHERE {self._given()} GROUP BY {keys} HAVING count(*) > 1)"
        )

    def adopted(self, batch_id: str, found: Found, attempt: AttemptState | None) -> Audit:
        """From the staging table of the attempt that got through, which stays until its outcome is written."""
        staging = StagingTable(self.loader, found.attempt)
        if found.attempt and staging.exists:
            read = counts.by_file(staging.rows())
            rows = sum(each.rows for each in read.values())
            if attempt is None or not self._is_there(attempt.base_snapshot_id):
                return Audit(read, detail={"merge": {"read": rows}})
            self._columns = self.loader.columns()
            self.check(self._columns)
            merged = f"{self.loader.table} VERSION AS OF {found.snapshot_id:d}"
            return Audit(read, detail={"merge": self._became(rows, staging, attempt, batch_id, merged)})
        return Audit(self.loader.batch_counts(batch_id), detail={"counts": "of the rows in the table"})
