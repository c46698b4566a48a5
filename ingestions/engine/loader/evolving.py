"""The columns of a table: inferred, created, added, compared with files; and the table's own end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FatalError, FileError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import Entry, Twin
from ingestions.engine.loader import contents, ddl, trial
from ingestions.engine.loader.base import (
    DROP_TAG,
    METADATA_COLUMNS,
    Column,
    TableState,
    Trial,
)
from ingestions.engine.loader.convert import Converter
from ingestions.engine.loader.failures import commit_failure, is_missing_table
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.loader.forms import Forms
from ingestions.engine.loader.infer import Inference
from ingestions.engine.loader.matching import Rules, is_reserved, unmatched
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.rows import table_rows
from ingestions.engine.loader.snapshots import History
from ingestions.engine.loader.table import IcebergTable
from ingestions.engine.loader.texts import Texts
from ingestions.engine.schema import types
from ingestions.engine.sources.base import SparkAccess

#: a batch of many shapes is written by at most one task for so many bytes of input, so that it makes few files.
BYTES_PER_TASK = 32 * 1024**2


class EvolvingTable(IcebergTable):
    """A table and the files whose columns it takes up."""

    def __init__(
        self, spark: Any, config: IngestionConfig, access: SparkAccess, weigh: Weigh | None, maker: str
    ) -> None:
        super().__init__(spark, config, access)
        self.maker = maker
        self.rules = Rules.of(config.format.columns, config.format.schema_.hints)
        self.readers = Readers(spark, config, access, self.rules, weigh)
        self.converter = Converter(
            zone_shifts=config.format.timezone.upper() != "UTC",
            end=uuid.uuid4().hex,
            forms=Forms.of(config.format.options),
        )
        self.texts = Texts(self.readers)
        self.well_formed = False  # whether malformed rows are left out of the batch that is staged
        self.our_columns_there = False  # as far as this loader has seen

    def state(self, *, counted: bool = True) -> TableState | None:
        try:
            self.refresh()  # passes where the session still remembers a table that is gone
            columns = self.columns()
            history, rows = self.history(totals=True) if counted else (History(), None)
        except Exception as error:
            if is_missing_table(error):
                return None
            raise commit_failure(error, f"reading the table {self.destination.key}") from error
        self.our_columns_there = {name for name, _ in METADATA_COLUMNS} <= {column.name for column in columns}
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
            self.committed(lambda: self.spark.sql(table), what)
            if order:
                self.committed(lambda: self.spark.sql(order[0]), what)
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
        if self.destination.write_mode == "merge":
            ddl.merge_keys(self.destination, fields)
        if self.destination.optimization.z_ordering_enabled:
            ddl.z_order(self.destination, fields)
        statements = [
            ddl.create_namespace(self.destination),
            ddl.create_table(self.destination, kept, self.maker),
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

        return self.committed(run, f"adding columns to {self.destination.key}")

    def made_here(self) -> bool:
        if not self.maker:
            return False
        rows = self.read(
            lambda _: self.spark.sql(f"SHOW TBLPROPERTIES {self.table}").collect(), "reading the properties"
        )
        return any(row["key"] == ddl.MAKER and row["value"] == self.maker for row in rows)

    def check_existing(self, entries: Sequence[Entry], table: TableState) -> None:
        addresses = [entry.file.address for entry in entries]
        names = {column.name.lower() for column in table.columns}
        fresh = [column for column in self._inferred(entries) if column.name.lower() not in names]
        if self.destination.write_mode == "merge":
            ddl.merge_keys(self.destination, (*table.columns, *fresh))
        try:
            trial.check_existing(self, entries, table)
        except Exception as error:
            raise self.read_failed(error, addresses, f"comparing the files with {self.destination.key}") from error

    def trial(self, entries: Sequence[Entry], columns: Sequence[Column], show: int) -> Trial:
        addresses = [entry.file.address for entry in entries]
        try:
            return trial.run(self, entries, columns, show)
        except Exception as error:
            raise self.read_failed(error, addresses, "reading the files") from error

    def optimize(self) -> Mapping[str, object]:
        self.refresh()
        rows = self.committed(
            lambda: self.spark.sql(ddl.z_order(self.destination, self.columns())).collect(),
            f"z-ordering {self.destination.key}",
        )
        return {name: count for name, count in rows[0].asDict().items() if count}

    def read_through(self, entries: Sequence[Entry]) -> None:
        addresses = [entry.file.address for entry in entries]
        try:
            with self.readers.versions.of(entries):
                frames = [
                    self.readers.raw_frame(shape, files, (), self.converter).df.agg(
                        F.sum("given").alias("given"), F.max("source_file").alias("file")
                    )
                    for shape, files in by_shape(entries).items()
                ]
            _union(frames).collect()
        except Exception as error:
            raise self.read_failed(error, addresses, "reading the files through") from error

    def misencoded(self, entries: Sequence[Entry]) -> Mapping[str, FileError]:
        addresses = [entry.file.address for entry in entries]
        try:
            return self.texts.misencoded(by_shape(entries))
        except Exception as error:
            raise self.read_failed(error, addresses, "looking at the files' bytes") from error

    def hashes(self, files: Sequence[Twin]) -> Mapping[int, str]:
        try:
            return contents.hashes(self.readers, files)
        except Exception as error:
            raise self.read_failed(error, [each.file.address for each in files], "comparing files") from error

    def compare_less(self) -> None:
        self.readers.versions.compare_less()

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
            raise self.read_failed(error, addresses, "inferring the columns' types") from error
        columns: dict[str, Column] = {}
        for name, type_ in guessed.items():
            target = self.rules.target(name)
            if target and not is_reserved(target):
                columns.setdefault(target.lower(), Column(target, str(type_)))
        return list(columns.values())

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

    def frame(
        self, entries: Sequence[Entry], batch_id: str, columns: tuple[Column, ...] | None = None
    ) -> tuple[Any, tuple[Column, ...]]:
        """The rows of these files as a frame with exactly the table's columns, and those columns."""
        columns = self.columns() if columns is None else columns
        groups = by_shape(entries)
        with self.readers.versions.of(entries):
            frames = [
                table_rows(
                    self.readers.raw_frame(shape, files, columns, self.converter),
                    columns,
                    batch_id,
                    self.converter,
                    trusted=[address for address in files if address in self.texts.trusted],
                    well_formed=self.well_formed,
                )
                for shape, files in groups.items()
            ]
        rows = _union(frames)
        if len(frames) > 1:
            size = sum(entry.file.size_bytes for entry in entries)
            rows = rows.coalesce(max(2, -(-size // BYTES_PER_TASK)))
        return rows, columns


def by_shape(entries: Sequence[Entry]) -> dict[Shape, list[str]]:
    """Addresses of the files of each shape. Raises FatalError for one whose shape is not known."""
    groups: dict[Shape, list[str]] = {}
    for entry in entries:
        if entry.shape is None:
            raise FatalError("shape_unknown", f"The shape of {entry.file.address} is not known yet.")
        groups.setdefault(entry.shape, []).append(entry.file.address)
    return groups


def _union(frames: list[Any]) -> Any:
    """All frames have the same columns in the same order."""
    return reduce(lambda one, other: one.union(other), frames)
