"""The columns of a table: inferred, created, added, compared with files; and the table's own end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FatalError, FileError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import Entry, Twin
from ingestions.engine.loader import contents, ddl, observing, quick, trial
from ingestions.engine.loader.base import (
    DROP_TAG,
    METADATA_COLUMNS,
    Column,
    TableState,
    Trial,
    fields_of,
)
from ingestions.engine.loader.convert import Converter
from ingestions.engine.loader.failures import commit_failure, is_missing_table
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.loader.forms import Forms
from ingestions.engine.loader.frames import union
from ingestions.engine.loader.from_path import with_path
from ingestions.engine.loader.infer import Inference, sample
from ingestions.engine.loader.matching import Rules, is_reserved
from ingestions.engine.loader.readers import Readers
from ingestions.engine.loader.rows import RawFrame, table_rows
from ingestions.engine.loader.snapshots import History
from ingestions.engine.loader.table import IcebergTable
from ingestions.engine.loader.texts import Texts
from ingestions.engine.schema import hints, types
from ingestions.engine.schema.diff import Change, still_open
from ingestions.engine.schema.path_columns import PathColumns, guessed
from ingestions.engine.schema.policy import Finding, Mode, Policy
from ingestions.engine.sources.base import SparkAccess
from ingestions.engine.sources.location import locate

#: a batch of many shapes is written by at most one task for so many bytes of input, so that it makes few files.
BYTES_PER_TASK = 32 * 1024**2


class EvolvingTable(IcebergTable):
    """A table and the files whose columns it takes up."""

    def __init__(
        self, spark: Any, config: IngestionConfig, access: SparkAccess, weigh: Weigh | None, maker: str
    ) -> None:
        super().__init__(spark, config, access)
        self.maker = maker
        self.rules = Rules.of(config.format.columns)
        self.paths = PathColumns.of(config.format.path_columns, locate(config.source).base)
        self.readers = Readers(spark, config, access, self.rules, weigh)
        self.converter = Converter(
            zone_shifts=config.format.timezone.upper() != "UTC",
            end=uuid.uuid4().hex,
            forms=Forms.of(config.format.options),
        )
        self.texts = Texts(self.readers)
        self.well_formed = False  # whether malformed rows are left out of the batch that is staged
        schema = config.format.schema_
        self.policy = Policy(Mode.of(schema.evolution_mode, schema.evolution_enabled))
        self.our_columns_there = False  # as far as this loader has seen
        #: the sample of files that types were asked for ahead, and the answer.
        self._foreseen: tuple[Mapping[Shape, Sequence[str]], Mapping[str, types.Type]] = ({}, {})

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

    def follow(self, policy: Policy) -> None:
        self.policy = policy

    def headers(self, entries: Sequence[Entry], table: TableState) -> tuple[Finding, ...]:
        return observing.in_headers(entries, fields_of(table.columns), self.rules, self._of_paths(entries))

    def _of_paths(self, entries: Sequence[Entry]) -> dict[str, dict[str, str | None]]:
        """Address → name → text of the columns that stand in it."""
        if self.paths is None:
            return {}
        return {entry.file.address: self.paths.values(entry.file.address) for entry in entries}

    def altering(self, changes: Sequence[Change], table: TableState) -> tuple[str, ...]:
        return self._altering(changes, table.columns)

    def _altering(self, changes: Sequence[Change], columns: Sequence[Column]) -> tuple[str, ...]:
        there = fields_of(columns)
        wanted = [each for each in changes if still_open(each, there) and not is_reserved(each.path[0])]
        return ddl.changes(self.destination, wanted)

    def alter(self, changes: Sequence[Change]) -> tuple[str, ...]:
        def run() -> tuple[str, ...]:
            self.refresh()
            statements = self._altering(changes, self.columns())
            for statement in statements:
                self.spark.sql(statement)
            return statements

        return self.committed(run, f"changing the columns of {self.destination.key}")

    def dropped(self, entries: Sequence[Entry]) -> Mapping[tuple[str, str], int]:
        addresses = [entry.file.address for entry in entries]
        try:
            return observing.dropped(self, entries)
        except Exception as error:
            raise self.read_failed(error, addresses, "counting what is left out") from error

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
            union(frames).collect()
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

    def foresee(self, entries: Sequence[Entry]) -> None:
        schema = self.config.format.schema_
        if schema.inference == "manual" or self.state(counted=False) is not None:
            return
        groups = sample(entries, schema)
        self._foreseen = (groups, Inference(self.readers, self.converter).columns(groups))

    def infer(self, entries: Sequence[Entry], only: Sequence[str] | None = None) -> tuple[Column, ...]:
        schema = self.config.format.schema_
        order = self.config.format.column_order
        if only is None and schema.inference == "manual" and schema.schema_json_:
            return _columns(hints.in_order(types.parse_columns(schema.schema_json_), order))
        found: Sequence[types.Field] = fields_of(self._inferred(entries))
        if only is not None:
            wanted = {name.lower() for name in only}
            found = [field for field in found if field.name.lower() in wanted]
        given = {name: types.storable(types.parse(text)) for name, text in schema.hints.items()}
        found = hints.hinted(found, given, complete=only is None)
        lower = {name.lower(): types.storable(type_) for name, type_ in self.rules.types.items()}
        found = [types.Field(field.name, lower.get(field.name.lower(), field.type)) for field in found]
        if only is not None:
            return _columns(found)
        known = {field.name.lower() for field in found}
        found += [types.Field(name, lower[name.lower()]) for name in self.rules.types if name.lower() not in known]
        return _columns(hints.in_order(found, order))

    def _inferred(self, entries: Sequence[Entry]) -> list[Column]:
        addresses = [entry.file.address for entry in entries]
        groups = sample(entries, self.config.format.schema_)
        foreseen, seen = self._foreseen
        try:
            if groups != foreseen:
                seen = Inference(self.readers, self.converter).columns(groups)
        except Exception as error:
            raise self.read_failed(error, addresses, "inferring the columns' types") from error
        columns: dict[str, Column] = {}
        for name, type_ in seen.items():
            target = self.rules.target(name)
            if target and not is_reserved(target):
                columns.setdefault(target.lower(), Column(target, str(type_)))
        texts: dict[str, list[str | None]] = {}
        for found in self._of_paths(entries).values():
            for name, text in found.items():
                texts.setdefault(self.rules.target(name) or "", []).append(text)
        for name, given in texts.items():
            if not is_reserved(name):
                columns.setdefault(name.lower(), Column(name, str(guessed(given))))
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
        self,
        entries: Sequence[Entry],
        batch_id: str,
        columns: tuple[Column, ...] | None = None,
        careful: frozenset[str] | None = None,
    ) -> tuple[Any, tuple[Column, ...]]:
        """The rows of these files as a frame with exactly the table's columns, and those columns. ``careful``: files
        that are read with care while the others are read quickly; ``None``: all of them."""
        columns = self.columns() if columns is None else columns
        frames: list[Any] = []
        left = list(entries)
        if careful is not None:
            frames, left = self._quick_frames(entries, batch_id, columns, careful)
        if left:
            frames += self._careful_frames(left, batch_id, columns)
        rows = union(frames)
        if len(frames) > 1:
            size = sum(entry.file.size_bytes for entry in entries)
            rows = rows.coalesce(max(2, -(-size // BYTES_PER_TASK)))
        return rows, columns

    def _quick_frames(
        self, entries: Sequence[Entry], batch_id: str, columns: tuple[Column, ...], careful: frozenset[str]
    ) -> tuple[list[Any], list[Entry]]:
        """Frames of the files that can be read quickly, and the other files."""
        wanted = by_shape([entry for entry in entries if entry.file.address not in careful])
        frames: list[Any] = []
        taken: set[str] = set()
        with self.readers.versions.of(entries):
            for shape, files in wanted.items():
                rows = quick.read(self.readers, shape, files, columns, self.converter, self.paths)
                if rows is not None:
                    frames.append(quick.table_rows(rows, columns, batch_id))
                    taken.update(files)
        return frames, [entry for entry in entries if entry.file.address not in taken]

    def _careful_frames(self, entries: Sequence[Entry], batch_id: str, columns: tuple[Column, ...]) -> list[Any]:
        raws = self.raw_frames(entries, columns)
        if self.policy.drops:
            raws = [raw.without_extra() for raw in raws]
        trusted = [entry.file.address for entry in entries if entry.file.address in self.texts.trusted]
        return [
            table_rows(raw, columns, batch_id, self.converter, trusted=trusted, well_formed=self.well_formed)
            for raw in raws
        ]

    def raw_frames(self, entries: Sequence[Entry], columns: Sequence[Column]) -> list[RawFrame]:
        """The files as they are, those of one shape in one frame."""
        raws = []
        with self.readers.versions.of(entries):
            for shape, files in by_shape(entries).items():
                raw = self.readers.raw_frame(shape, files, columns, self.converter)
                raws.append(raw if self.paths is None else with_path(raw, files, columns, self.paths, self.rules))
        return raws


def _columns(fields: Sequence[types.Field]) -> tuple[Column, ...]:
    return tuple(Column(field.name, str(field.type)) for field in fields)


def by_shape(entries: Sequence[Entry]) -> dict[Shape, list[str]]:
    """Addresses of the files of each shape. Raises FatalError for one whose shape is not known."""
    groups: dict[Shape, list[str]] = {}
    for entry in entries:
        if entry.shape is None:
            raise FatalError("shape_unknown", f"The shape of {entry.file.address} is not known yet.")
        groups.setdefault(entry.shape, []).append(entry.file.address)
    return groups
