"""Malformed rows in a table beside the destination: whence, why, and their text.

Two tables have no commit in common. So the quarantine table is changed first, by a batch of which nothing is published
yet, and in a way that can be repeated: what stands there of the batch is taken out and put in anew by one fast-forward
of a branch. A batch that is given up has its rows swept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F
from pyspark.sql.connect.window import Window

from autoloader.lib.chunks import chunks
from autoloader.lib.errors import ConfigError
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import AttemptState, Entry
from ingestions.engine.loader import counts, ddl, lines
from ingestions.engine.loader.base import (
    BATCH_ID,
    FILE_MODIFIED_AT,
    RESCUED_DATA,
    SNAPSHOT_ATTEMPT,
    SNAPSHOT_BATCH,
    SOURCE_FILE,
    BadRow,
)
from ingestions.engine.loader.evolving import by_shape
from ingestions.engine.loader.failures import commit_failure, is_missing_table
from ingestions.engine.loader.frames import union
from ingestions.engine.loader.replacing import of
from ingestions.engine.loader.rows import CORRUPT_RECORD
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.quarantine_name import quarantine_name

if TYPE_CHECKING:
    from ingestions.engine.loader.loader import SparkTableLoader

COLUMNS = (
    (SOURCE_FILE, "string"),
    ("_line", "bigint"),
    ("_reason", "string"),
    ("_raw", "string"),
    (FILE_MODIFIED_AT, "timestamp"),
    (BATCH_ID, "string"),
    ("_quarantined_at", "timestamp"),
)
#: batches and files that are named in one statement.
_NAMED = 1000
_WIDE = ("UTF-16", "UTF-32")
_FOUND = ("source_file", "modified_at", "raw", "reason")
#: stands for a line that is not known.
_LAST = 2**62


class Quarantine:
    """The table of one destination. It is made when the first row needs it."""

    def __init__(self, loader: SparkTableLoader) -> None:
        self.loader = loader
        self.spark = loader.spark
        where = loader.destination
        self.key = f"{where.catalog}.{where.database}.{quarantine_name(where.table)}"
        self._parts = (where.catalog, where.database, quarantine_name(where.table))
        self.name = identifier(*self._parts)

    # ---- looking

    @property
    def exists(self) -> bool:
        try:
            self.spark.sql(f"REFRESH TABLE {self.name}")
            names = {field.name for field in self.spark.table(self.name).schema.fields}
        except Exception as error:
            if is_missing_table(error):
                return False
            raise commit_failure(error, f"looking at {self.key}") from error
        if missing := [name for name, _ in COLUMNS if name not in names]:
            raise ConfigError(
                "quarantine_table_foreign",
                f"{self.key} is where malformed rows go, and it is another table: it has no column {missing[0]}.",
                "Rename that table, or use another value of format.bad_rows.",
                field="format.bad_rows",
            )
        return True

    def counts(self) -> dict[tuple[str, str], int]:
        if not self.exists:
            return {}
        try:
            return counts.by_batch_and_file(self.spark.table(self.name))
        except Exception as error:
            raise commit_failure(error, f"counting rows of {self.key}") from error

    # ---- changing

    def replace(
        self,
        rows: Any,
        entries: Sequence[Entry],
        batch_id: str,
        attempt: AttemptState,
        replaced: Collection[tuple[str, str]],
    ) -> dict[str, int]:
        """See ``TableLoader.quarantine``."""
        self._create()
        branch = identifier(*self._parts, f"branch_{attempt.branch}")

        def change() -> dict[str, int]:
            for condition in _conditions([batch_id], replaced):
                self.spark.sql(f"DELETE FROM {branch} WHERE {condition}")
            bad = self._rows(rows, entries, batch_id)
            writer = bad.writeTo(branch).option(f"snapshot-property.{SNAPSHOT_BATCH}", batch_id)
            writer.option(f"snapshot-property.{SNAPSHOT_ATTEMPT}", attempt.branch).append()
            self.spark.sql(f"REFRESH TABLE {self.name}")
            there = self.spark.table(branch).where(F.col(BATCH_ID) == batch_id)
            counted = there.groupBy(SOURCE_FILE).agg(F.count(F.lit(1)).alias("n")).collect()
            return {row[SOURCE_FILE]: row["n"] for row in counted}

        addresses = [entry.file.address for entry in entries]
        return self._published(attempt.branch, change, addresses, f"putting malformed rows into {self.key}")

    def remove(self, batches: Collection[str], pairs: Collection[tuple[str, str]]) -> None:
        """Done already is done; so is what never was."""
        if not (batches or pairs) or not self.exists:
            return
        for condition in _conditions(batches, pairs):
            self.loader.committed(partial(self._delete, condition), f"taking rows out of {self.key}")

    def _delete(self, condition: str) -> None:
        self.spark.sql(f"REFRESH TABLE {self.name}")
        self.spark.sql(f"DELETE FROM {self.name} WHERE {condition}")

    def drop(self) -> None:
        """Where this ingestion has made it."""
        if not self.exists:
            return
        properties = self.spark.sql(f"SHOW TBLPROPERTIES {self.name}").collect()
        if any(row["key"] == ddl.MAKER and row["value"] == self.loader.maker for row in properties):
            self.spark.sql(f"DROP TABLE IF EXISTS {self.name}")

    def _create(self) -> None:
        if self.exists:
            return
        columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS)
        maker = f", {literal(ddl.MAKER)} = {literal(self.loader.maker)}" if self.loader.maker else ""
        self.loader.committed(
            lambda: self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}) USING iceberg "
                f"TBLPROPERTIES ('format-version' = '2'{maker})"
            ),
            f"creating {self.key}",
        )

    def _published(
        self, branch: str, change: Callable[[], dict[str, int]], addresses: Sequence[str], what: str
    ) -> dict[str, int]:
        """``change`` on a branch of its own, then main moved to it: whoever comes late finds that it has moved."""
        quoted = identifier(branch)

        def opened() -> None:
            self.spark.sql(f"REFRESH TABLE {self.name}")
            self.spark.sql(f"ALTER TABLE {self.name} DROP BRANCH IF EXISTS {quoted}")
            self.spark.sql(f"ALTER TABLE {self.name} CREATE BRANCH {quoted}")

        self.loader.committed(opened, what)
        try:
            result = change()
        except Exception as error:  # the files are read once more for their lines
            raise self.loader.read_failed(error, addresses, what) from error
        catalog, *table = self._parts
        self.loader.committed(
            lambda: self.spark.sql(
                f"CALL {identifier(catalog)}.system.fast_forward(table => {literal(identifier(*table))}, "
                f"branch => 'main', to => {literal(branch)})"
            ).collect(),
            what,
        )
        self._drop_branch(branch)
        return result

    def drop_branch(self, branch: str) -> None:
        """What a worker that died has left of an attempt."""
        if self.exists:
            self._drop_branch(branch)

    def _drop_branch(self, branch: str) -> None:
        self.loader.committed(
            lambda: self.spark.sql(f"ALTER TABLE {self.name} DROP BRANCH IF EXISTS {identifier(branch)}"),
            f"dropping the branch {branch} of {self.key}",
        )

    # ---- the rows

    def _rows(self, rows: Any, entries: Sequence[Entry], batch_id: str) -> Any:
        """The malformed ones of these files, as the quarantine table has them."""
        values = {
            SOURCE_FILE: F.col("source_file"),
            "_line": F.col("line"),
            "_reason": F.col("reason"),
            "_raw": F.col("raw"),
            FILE_MODIFIED_AT: F.col("modified_at"),
            BATCH_ID: F.lit(batch_id),
            "_quarantined_at": F.current_timestamp(),
        }
        found = self._numbered(rows, entries)
        return found.select(*(values[name].cast(type_).alias(name) for name, type_ in COLUMNS))

    def _reason(self, shape: Shape, raw: Any) -> Any:
        if shape.format == "csv":
            return F.lit("malformed: its fields are not those of the header")
        twice = self.loader.converter.objects(raw).isNotNull()
        return F.when(twice, F.lit("malformed: a name stands in it twice")).otherwise(
            F.lit(f"malformed: it is no {'JSON object' if shape.format == 'json' else 'record'}")
        )

    def first(self, rows: Any, entries: Sequence[Entry]) -> dict[str, BadRow]:
        found = self._numbered(rows, entries).groupBy("source_file")
        line = F.coalesce("line", F.lit(_LAST))
        firsts = found.agg(F.min(F.struct(line.alias("line"), "raw")).alias("first")).select("source_file", "first.*")
        return {
            row["source_file"]: BadRow(row["line"] if row["line"] < _LAST else None, row["raw"])
            for row in firsts.collect()
        }

    def _numbered(self, rows: Any, entries: Sequence[Entry]) -> Any:
        """Columns ``source_file``, ``modified_at``, ``raw``, ``reason`` and ``line``, null where it is not known. The
        lines are those of the files themselves, read once more; of equal lines the first malformed row takes the first.
        """
        return union([self._of_shape(rows, shape, addresses) for shape, addresses in by_shape(entries).items()])

    def _of_shape(self, rows: Any, shape: Shape, addresses: Sequence[str]) -> Any:
        raw = F.from_json(F.col(RESCUED_DATA), "map<string,string>")[CORRUPT_RECORD]
        bad = rows.where(counts.malformed() & F.col(SOURCE_FILE).isin(addresses)).select(
            F.col(SOURCE_FILE).alias("source_file"), F.col(FILE_MODIFIED_AT).alias("modified_at"), raw.alias("raw")
        )
        bad = bad.select("*", self._reason(shape, F.col("raw")).alias("reason"), _key(F.col("raw")).alias("key"))
        bad = bad.select("*", _nth("raw").alias("nth"))
        encoding = shape.option("encoding", "UTF-8").upper()
        if encoding.startswith(_WIDE) or shape.format not in ("csv", "json"):
            return bad.select(*_FOUND, F.lit(None).cast("int").alias("line"))
        there = lines.numbered(self.loader.readers, shape, addresses)
        text = F.col("value")
        if not encoding.startswith(("UTF", "US-ASCII", "ASCII")):
            text = F.decode(text.cast("binary"), encoding)
        there = there.select("source_file", "line", _key(text).alias("key"))
        there = there.select("*", _nth("line").alias("nth"))
        return bad.join(there, ["source_file", "key", "nth"], "left").select(*_FOUND, "line")


def _key(text: Any) -> Any:
    """The first line of a record, without space around it."""
    return F.btrim(F.regexp_extract(F.btrim(text, F.lit(" \t\r\n\ufeff")), r"^[^\r\n]*", 0), F.lit(" \t\r\n\ufeff"))


def _nth(order: str) -> Any:
    return F.row_number().over(Window.partitionBy("source_file", "key").orderBy(order))


def _conditions(batches: Collection[str], pairs: Collection[tuple[str, str]]) -> list[str]:
    """Each short enough for a statement."""
    found = []
    named = sorted(batches)
    for ids in chunks(named, _NAMED):
        found.append(f"{BATCH_ID} IN ({', '.join(map(literal, ids))})")
    ordered = sorted(pairs)
    for part in chunks(ordered, _NAMED):
        found.append(of(part))
    return found
