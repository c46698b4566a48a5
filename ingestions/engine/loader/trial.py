"""Files read as they would be loaded, and looked at instead of being written: for previews, dry runs and tables that
somebody else made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import SchemaStop
from ingestions.engine.ledger import Entry
from ingestions.engine.loader import counts
from ingestions.engine.loader.base import (
    METADATA_COLUMNS,
    RESCUED_DATA,
    SOURCE_FILE,
    Column,
    FileTrial,
    TableState,
    Trial,
)
from ingestions.engine.loader.infer import FIT, sample
from ingestions.engine.loader.rows import rescue_key
from ingestions.engine.loader.sql import identifier

if TYPE_CHECKING:
    from ingestions.engine.loader.evolving import EvolvingTable

#: what the trial's rows have for a batch id; nothing of them is ever written.
TRIAL = "preview"
#: names of rescued values that are counted.
_KEYS = 1000


def run(loader: EvolvingTable, entries: Sequence[Entry], columns: Sequence[Column], show: int) -> Trial:
    """Reads all rows of these files against ``columns``; ours are added where they are not among them. ``show`` rows
    are handed out."""
    named = {column.name for column in columns}
    ours = [Column(name, type_) for name, type_ in METADATA_COLUMNS if name not in named]
    optional = (*(Column(column.name, column.type) for column in columns), *ours)
    rows, _ = loader.frame(entries, TRIAL, optional)
    own = [column for column in optional if column.name not in {name for name, _ in METADATA_COLUMNS}]
    files = _files(rows, own)
    keys = _keys(rows) if any(each.rescued_rows for each in files.values()) else {}
    if loader.config.format.bad_rows in ("quarantine", "drop"):
        rows = rows.where(~F.coalesce(counts.malformed(), F.lit(False)))
    return Trial(optional, files, keys, _shown(rows, show) if show else ())


def _files(rows: Any, own: Sequence[Column]) -> dict[str, FileTrial]:
    counted = rows.groupBy(SOURCE_FILE).agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(F.col(RESCUED_DATA)).alias("rescued"),
        *(F.count(F.col(identifier(column.name))).alias(f"n{at}") for at, column in enumerate(own)),
    )
    return {
        row[SOURCE_FILE]: FileTrial(
            row["rows"], row["rescued"], {column.name: row[f"n{at}"] for at, column in enumerate(own)}
        )
        for row in counted.collect()
    }


def _keys(rows: Any) -> dict[str, int]:
    keys = rows.where(F.col(RESCUED_DATA).isNotNull()).select(
        F.explode(F.json_object_keys(F.col(RESCUED_DATA))).alias("key")
    )
    counted = keys.groupBy("key").agg(F.count(F.lit(1)).alias("rows")).orderBy(F.desc("rows"), "key").limit(_KEYS)
    return {row["key"]: row["rows"] for row in counted.collect() if row["key"] != "_file_path"}


def _shown(rows: Any, show: int) -> tuple[dict[str, Any], ...]:
    text = F.to_json(F.struct(F.col("*")), {"ignoreNullFields": "false"}).alias("row")
    return tuple(json.loads(row["row"]) for row in rows.limit(show).select(text).collect())


def check_existing(loader: EvolvingTable, entries: Sequence[Entry], table: TableState) -> None:
    """Raises SchemaStop where a column of the table and the files' values of that name do not go together, or where the
    table requires a value that the files have not."""
    wanted = {address for group in sample(entries, loader.config.format.schema_).values() for address in group}
    chosen = [entry for entry in entries if entry.file.address in wanted]
    trial = run(loader, chosen, table.columns, 0)
    for column in table.own_columns:
        stored, rescued = trial.given(column.name), trial.rescued.get(rescue_key(column.name), 0)
        if rescued > (1 - FIT) * (stored + rescued):
            raise _clash(loader, chosen, column, rescued, stored + rescued)
        if column.required and stored < trial.rows_read:
            raise SchemaStop(
                "required_column",
                f"Column “{column.name}” of {loader.destination.key} must not be empty, and "
                f"{trial.rows_read - stored:,} of {trial.rows_read:,} sampled rows have no value for it.",
                f"Rename a column of the files to “{column.name}” (format.columns), or make it optional: ALTER TABLE … "
                f"ALTER COLUMN {identifier(column.name)} DROP NOT NULL. Nothing was changed.",
            )


def _clash(loader: EvolvingTable, entries: Sequence[Entry], column: Column, rescued: int, given: int) -> SchemaStop:
    inferred = {found.name.lower(): found.type for found in loader.infer(entries, [column.name])}
    theirs = inferred.get(column.name.lower(), "string")
    return SchemaStop(
        "type_clash",
        f"Column “{column.name}” is {column.type} in {loader.destination.key} and {theirs} in the files: {rescued:,} "
        f"of {given:,} sampled values do not fit.",
        "Choose another table, or rename the files' column (format.columns) so that it gets a column of its own. "
        "Nothing was changed.",
    )
