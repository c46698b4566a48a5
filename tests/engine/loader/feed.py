"""A small feed in a folder and the loader over it: what the tests of this folder share."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autoloader.lib.errors import FileError
from clusters.conf import BASE
from ingestions.engine import formats
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.formats.sniff import sniff
from ingestions.engine.ledger import AttemptState, Entry, State
from ingestions.engine.loader import open_loader
from ingestions.engine.loader.base import Audit, Staged, Unnamed
from ingestions.engine.loader.loader import SparkTableLoader
from ingestions.engine.sources import open_source
from ingestions.engine.sources.base import RemoteFile, SparkAccess

LOCAL = SparkAccess("file", "file")
#: on Spark 3.5, which tells some things otherwise.
OLD = os.environ.get("AUTOLOADER_TEST_SPARK", "").startswith("3.")


def new_session(url: str) -> Any:
    """A session of its own, tuned as the pool tunes one."""
    from pyspark.sql.connect.session import SparkSession

    spark = SparkSession.builder.remote(url).create()
    for name, value in BASE.items():
        spark.conf.set(name, value)
    return spark


def csv_shape(*names: str, **options: str) -> Shape:
    chosen = {"header": "true", "delimiter": ",", "quote": '"', "escape": '"', "encoding": "UTF-8", **options}
    return Shape("csv", tuple(map(ShapeColumn, names)), tuple(sorted(chosen.items())))


def json_shape(**options: str) -> Shape:
    return Shape("json", (), tuple(sorted({"encoding": "UTF-8", "multiline": "false", **options}.items())))


@dataclass
class Loaded:
    """A batch that was published."""

    attempt: AttemptState
    staged: Staged
    audit: Audit
    rows: list[dict[str, Any]]

    def one(self) -> dict[str, Any]:
        (row,) = self.rows
        return row

    def rescued(self) -> list[dict[str, str]]:
        """``_rescued_data`` of the rows that have any, without the file's address."""
        found = [json.loads(row["_rescued_data"]) for row in self.rows if row["_rescued_data"]]
        return [{key: text for key, text in each.items() if key != "_file_path"} for each in found]


@dataclass
class Feed:
    """Files below ``folder`` into a table of their own."""

    spark: Any
    folder: Path
    format: str = "csv"
    table: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")
    database: str = "tests"
    options: Mapping[str, Any] = field(default_factory=dict)
    access: SparkAccess = LOCAL

    def __post_init__(self) -> None:
        wanted: dict[str, Any] = {
            "name": "feed",
            "cluster_id": "c",
            "source": {"type": "local", "path": str(self.folder)},
            "format": {"type": self.format, **self.options.get("format", {})},
            "destination": {
                "catalog": "local",
                "database": self.database,
                "table": self.table,
                **self.options.get("destination", {}),
            },
            "limits": self.options.get("limits", {}),
        }
        self.config = IngestionConfig.model_validate(wanted)
        self.loader = self.open(self.spark)
        self.attempts = 0

    def open(self, spark: Any) -> SparkTableLoader:
        loader = open_loader(spark, session_id=spark.session_id, config=self.config, access=self.access)
        assert isinstance(loader, SparkTableLoader)
        return loader

    def write(self, name: str, content: str | bytes, shape: Shape) -> Entry:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.entry(name, shape)

    def csv(self, name: str, content: str | bytes, **options: str) -> Entry:
        """The header's names are taken from the first line, which must be a plain one."""
        text = content if isinstance(content, str) else content.decode(options.get("encoding", "UTF-8"))
        first = text.removeprefix("\ufeff").splitlines()[0]
        names = [each.strip('"') for each in first.split(options.get("delimiter", ","))]
        return self.write(name, content, csv_shape(*names, **options))

    def sniffed(self, name: str, content: str | bytes) -> Entry:
        """A file whose shape is found out from its first bytes, as a run does."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        formats.validate(self.config.format)
        source = open_source(
            self.config.source, None, local_roots=[str(self.folder)], allowed_networks=[], alias_key="k"
        )
        bare = self.entry(name, None)
        return replace(bare, shape=sniff(source, bare.file, self.config.format))

    def json(self, name: str, *records: Any, **options: str) -> Entry:
        """``records``: objects, or lines as they are."""
        lines = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in records]
        return self.write(name, "".join(f"{line}\n" for line in lines), json_shape(**options))

    def entry(self, name: str, shape: Shape | None) -> Entry:
        path = self.folder / name
        stat = path.stat()
        return Entry(
            abs(hash(name)),
            RemoteFile(
                f"file://{path}", str(stat.st_mtime_ns), stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)
            ),
            State.CLAIMED,
            shape,
        )

    def attempt(self, loader: SparkTableLoader | None = None) -> AttemptState:
        """A branch is made for it."""
        self.attempts += 1
        branch = f"al_{uuid.uuid4().hex[:8]}_{self.attempts}"
        using = loader or self.loader
        base = using.open_branch(branch)
        return AttemptState(self.attempts, branch, base, using.session_id, f"tag-{branch}", open=True)

    def evolve(self, entries: Sequence[Entry]) -> None:
        """Makes the table, or adds the columns that these files have and it has not."""
        state = self.loader.state()
        if state is None:
            self.loader.create(self.loader.infer(entries))
            return
        names = [finding.change.path[0] for finding in self.loader.headers(entries, state)]
        if names:
            self.loader.add_columns(self.loader.infer(entries, names))

    def load(self, *entries: Entry, evolve: bool = True, batch_id: str | None = None) -> Loaded:
        """The steps of a run: evolve, branch, stage, audit, publish, and the batch's rows as the table has them."""
        batch_id = batch_id or f"b-{uuid.uuid4().hex[:8]}"
        if evolve:
            self.evolve(entries)
        attempt = self.attempt()
        assert self.loader.find_batch(attempt.branch, batch_id) is None
        staged = self.loader.stage(entries, batch_id=batch_id, attempt=attempt)
        audit = self.loader.audit(staged, attempt, entries)
        self.loader.publish(attempt, staged)
        return Loaded(attempt, staged, audit, self.rows(batch_id))

    def blamed(self, *entries: Entry, evolve: bool = True) -> list[str]:
        """The addresses of the files that are at fault where these cannot be loaded: the one that the error names, or,
        after one that names none, as Spark 3.5 has them, those that cannot be read by themselves either.
        """
        try:
            self.load(*entries, evolve=evolve)
        except FileError as error:
            return [error.path]
        except Unnamed:
            return [entry.file.address for entry in entries if OLD and not self.readable(entry)]
        return []

    def readable(self, entry: Entry) -> bool:
        try:
            self.loader.read_through([entry])
        except (FileError, Unnamed):
            return False
        return True

    def rows(self, batch_id: str | None = None) -> list[dict[str, Any]]:
        found = [row.asDict(recursive=True) for row in self.spark.table(self.loader.table).collect()]
        return [row for row in found if batch_id in (None, row["_batch_id"])]

    def types(self) -> dict[str, str]:
        state = self.loader.state()
        assert state is not None
        return {column.name: column.type for column in state.own_columns}
