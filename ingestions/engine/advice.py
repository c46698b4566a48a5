"""What a person should know of files that were looked at: which of them disagree, and what would be better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from autoloader.lib.errors import FileError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import Entry
from ingestions.engine.loader.base import METADATA_COLUMNS, Column, Trial
from ingestions.engine.quarantine_name import quarantine_name
from ingestions.engine.rows_limit import RowsLimit
from ingestions.engine.schema.policy import Mode
from ingestions.engine.survey import Survey

#: files smaller than this cost more to open than to read.
TINY_BYTES = 100_000
MANY_FILES = 1_000
#: a gzip file cannot be divided: one core reads it from its start to its end.
LARGE_GZIP_BYTES = 500_000_000
#: of a column's values so many are rescued: its type does not fit.
MISFIT = 0.01
NAMED = 5


def disagreements(entries: Sequence[Entry], problems: Sequence[FileError], trial: Trial | None) -> list[str]:
    """A sentence for each file that cannot be read, or whose columns are not those of most files."""
    said = [f"{problem.path}: {problem.message}" for problem in problems]
    return [*said, *_shapes(entries), *_silent(entries, trial)]


def _shapes(entries: Sequence[Entry]) -> list[str]:
    named = [(entry, tuple(column.name for column in entry.shape.columns)) for entry in entries if entry.shape]
    counted = Counter(names for _, names in named if names)
    if len(counted) < 2:
        return []
    usual = counted.most_common(1)[0][0]
    said = []
    for entry, names in named:
        if not names or names == usual:
            continue
        more, less = sorted(set(names) - set(usual)), sorted(set(usual) - set(names))
        parts = []
        if more:
            parts.append(f"has {_listed(more)} beside the usual columns")
        if less:
            parts.append(f"lacks {_listed(less)}")
        if not parts:
            parts.append("has the columns in another order, which does no harm: they go by name")
        said.append(f"{entry.file.address} {' and '.join(parts)}")
    return said


def _silent(entries: Sequence[Entry], trial: Trial | None) -> list[str]:
    """JSON says its names row by row: a file without a single value of a column that others have."""
    if trial is None or any(entry.shape and entry.shape.columns for entry in entries):
        return []
    ours = {name for name, _ in METADATA_COLUMNS}
    said = []
    for address, file in trial.files.items():
        empty = [
            column.name
            for column in trial.columns
            if column.name not in ours and not file.given.get(column.name) and trial.given(column.name)
        ]
        if empty:
            said.append(f"{address} has no value for {_listed(empty)}")
    return said


def advise(
    config: IngestionConfig,
    survey: Survey,
    entries: Sequence[Entry],
    columns: Sequence[Column],
    trial: Trial | None,
    table_exists: bool,
) -> list[str]:
    """Sentences, the most important first."""
    said = list(_types(columns, trial))
    if survey.files >= MANY_FILES and survey.bytes / survey.files < TINY_BYTES:
        said.append(
            f"{survey.files:,} files of {survey.bytes // survey.files:,} bytes on average: larger files would load "
            "faster."
        )
    large = [e.file.address for e in entries if e.file.address.endswith(".gz") and e.file.size_bytes > LARGE_GZIP_BYTES]
    if large:
        said.append(
            f"{large[0]} is a large gzip file, which one core has to read alone: smaller files load in parallel."
        )
    said += _partitioning(config, survey, columns, table_exists)
    if config.destination.write_mode == "append":
        said += _changes(columns, trial)
    if config.destination.write_mode == "merge":
        said = [*_empty_keys(config, trial), *said]
    return said


def _types(columns: Sequence[Column], trial: Trial | None) -> list[str]:
    if trial is None:
        return []
    said = []
    for column in columns:
        rescued = trial.rescued.get(column.name, 0)
        if rescued and rescued >= MISFIT * (rescued + trial.given(column.name)):
            said.append(
                f"{rescued:,} values of {column.name} are no {column.type} and go to _rescued_data: make it a string "
                "(format.schema.hints) if they should stay in their column."
            )
    return said


def _partitioning(config: IngestionConfig, survey: Survey, columns: Sequence[Column], table_exists: bool) -> list[str]:
    """A date to partition by pays once a day's part is worth a file of its own."""
    if table_exists or config.destination.partitioning.enabled or survey.bytes < 10_000_000_000:
        return []
    moments = [column.name for column in columns if column.type in ("date", "timestamp") and column.name[0] != "_"]
    if not moments:
        return []
    return [
        f"With {survey.bytes // 10**9:,} GB, queries by time get faster in a table partitioned by days({moments[0]})."
    ]


def _empty_keys(config: IngestionConfig, trial: Trial | None) -> list[str]:
    """Rows that have no merge key cannot be merged; what becomes of them was chosen, and may surprise."""
    if trial is None:
        return []
    named = {column.name.lower(): column.name for column in trial.columns}
    said = []
    for key in config.destination.merge_keys:
        empty = trial.rows_read - trial.given(named.get(key.lower(), key))
        if empty and config.destination.null_keys == "fail":
            said.append(f"{empty:,} rows have no value in the merge key {key}: their files will fail.")
        elif empty:
            said.append(
                f"{empty:,} rows have no value in the merge key {key}: each stays a row of its own, and is marked."
            )
    return said


def _changes(columns: Sequence[Column], trial: Trial | None) -> list[str]:
    names = {column.name.lower() for column in columns}
    if trial is None or not {"op", "operation", "_op", "__op", "change_type"} & names:
        return []
    return [
        "The files look like changes (they have a column for the operation): write_mode merge would apply them by key."
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


def malformed_fate(config: IngestionConfig) -> str:
    """What becomes of rows that cannot be read, in a sentence."""
    match config.format.bad_rows:
        case "quarantine":
            return f"Such rows go to {quarantine_name(config.destination.key)}, with file and line; none is lost."
        case "drop":
            return "Such rows are left out of the table, and counted for their file."
        case "fail":
            limit = RowsLimit.of(config.format)
            return f"A file may have {limit if limit.share is not None else f'{limit} of them'}, else it is set aside."
    return "Such rows are kept whole in _rescued_data; no value is lost."


_UNALTERED = {
    Mode.RESCUE: "No statement runs: values of new columns are kept in _rescued_data.",
    Mode.FAIL: "No statement runs: a file that brings a new column stops its run, and the error shows the statement.",
    Mode.NONE: "No statement runs: new columns are left out, and counted.",
    Mode.REVIEW: "No statement runs unasked: files that bring a new column wait until somebody decides.",
}


def no_statement(config: IngestionConfig) -> str:
    """Why nothing is altered before the rows are loaded, in a sentence."""
    schema = config.format.schema_
    mode = Mode.of(schema.evolution_mode, schema.evolution_enabled)
    return _UNALTERED.get(mode, "No statement is needed: the table has every column.")
