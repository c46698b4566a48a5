"""Loads files as a run does: listing, first bytes, batches, branches, publishing; only the ledger is in memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestions.engine import sources
from ingestions.engine.config import IngestionConfig
from ingestions.engine.context import Context
from ingestions.engine.ledger import State
from ingestions.engine.loader import open_loader
from ingestions.engine.loader.base import METADATA_COLUMNS, SOURCE_FILE, TableLoader
from ingestions.engine.run import Outcome, run_slice
from tests.corpus.case import RESCUED, Content, Feed
from tests.engine.memory import Ledger, MemoryStore

_OURS = {name for name, _ in METADATA_COLUMNS}


@dataclass(frozen=True)
class Verdict:
    """What became of a file; ``reason``: the error's code, or the first word of the listing's reason."""

    state: State
    reason: str
    rows: int


@dataclass
class Table:
    """A folder, a table and what a run remembers; ``run`` loads what is new in the folder."""

    spark: Any
    folder: Path
    format: dict[str, Any]
    limits: dict[str, Any] = field(default_factory=dict)
    database: str = "corpus"
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        where = {"catalog": "local", "database": self.database, "table": f"t{uuid.uuid4().hex[:12]}"}
        self.config = IngestionConfig.model_validate(
            {
                "name": "corpus",
                "cluster_id": "c",
                "source": {"type": "local", "path": str(self.folder)},
                "format": self.format,
                "destination": where,
                "limits": self.limits,
            }
        )

    def write(self, name: str, content: Content) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)

    def run(self) -> None:
        """A run from its listing to its end. Raises what stops it."""
        self.ledger.discovered = False
        source = sources.open_source(
            self.config.source, None, local_roots=[str(self.folder)], allowed_networks=[], alias_key="k"
        )

        @contextmanager
        def opened() -> Iterator[TableLoader]:
            yield self._loader()

        context = Context(
            config=self.config,
            source=source,
            store=MemoryStore(self.ledger, lambda step: None),
            open_loader=opened,
            interrupt=lambda attempt: None,
            now=lambda: datetime.now(UTC),
        )
        try:
            assert run_slice(context, budget_seconds=600) is Outcome.DONE
        finally:
            source.close()

    def _loader(self) -> TableLoader:
        return open_loader(
            self.spark,
            session_id=self.spark.session_id,
            config=self.config,
            access=sources.no_access(self.config.source),
        )

    # what came of it

    def types(self) -> dict[str, str]:
        """The table's own columns."""
        state = self._loader().state(counted=False)
        return {column.name: column.type for column in state.own_columns} if state else {}

    def verdicts(self) -> dict[str, Verdict]:
        """By the file's name below the folder, the newest version's."""
        codes = {error.path: error.code for error in self.ledger.errors if hasattr(error, "path")}
        return {
            self._name(row.file.address): Verdict(
                row.state,
                codes.get(row.file.address, "") if row.state == State.FAILED or not row.reason else row.reason,
                row.rows or 0,
            )
            for row in self.ledger.rows.values()
        }

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """File → its rows, without our columns and without nulls; ``_rescued`` holds what was rescued. Moments and days
        are texts, as Spark shows them in the feed's zone."""
        found: dict[str, list[dict[str, Any]]] = {}
        kinds = self.types()
        if not kinds:
            return found
        name = ".".join(f"`{part}`" for part in self.config.destination.key.split("."))
        for row in self.spark.table(name).selectExpr(*_shown(kinds)).collect():
            values = row.asDict(recursive=True)
            kept = {key: value for key, value in values.items() if value is not None and key not in _OURS}
            rescued = json.loads(values["_rescued_data"] or "{}")
            if rescued:
                assert rescued.pop("_file_path") == values[SOURCE_FILE]
                kept[RESCUED] = rescued
            found.setdefault(self._name(values[SOURCE_FILE]), []).append(kept)
        return found

    def _name(self, address: str) -> str:
        return address.removeprefix(f"file://{self.folder}/")


def _shown(kinds: dict[str, str]) -> list[str]:
    moments = ("date", "timestamp", "timestamp_ntz")
    quoted = {name: "`" + name.replace("`", "``") + "`" for name in kinds}
    own = [f"CAST({q} AS STRING) AS {q}" if kinds[name] in moments else q for name, q in quoted.items()]
    return [*own, SOURCE_FILE, "_rescued_data"]


def load(spark: Any, folder: Path, feed: Feed) -> Table:
    """A new table with the feed's files in it."""
    table = Table(spark, folder, dict(feed.format), dict(feed.limits))
    for file in feed.files:
        table.write(file.name, file.content)
    table.run()
    return table


def plain(value: Any) -> str:
    """A text that is equal for equal values of equal types only, whatever the order of their keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {plain(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(plain, value)) + "]"
    if isinstance(value, bytearray):
        return repr(bytes(value))
    return repr(value)
