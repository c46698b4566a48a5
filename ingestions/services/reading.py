"""A configuration as people read it: groups of settings with a name each, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from ingestions.engine.config import IngestionConfig
from ingestions.services.merging import changed, value_at


@dataclass(frozen=True)
class Setting:
    """``field`` is the dotted name that YAML and REST have for it; ``value`` as the configuration holds it."""

    label: str
    field: str
    value: Any
    is_default: bool

    @property
    def text(self) -> str:
        if self.value is None and self.field in _NONE:
            return _NONE[self.field]
        means = _MEANS.get(f"{self.field} {self.value}")
        return f"{said(self.value)}: {means}" if means else said(self.value)


@dataclass(frozen=True)
class Group:
    """``told``: what was chosen, and what matters even where it is as by default; ``others`` are as by default."""

    title: str
    told: tuple[Setting, ...]
    others: tuple[Setting, ...]


@dataclass(frozen=True)
class Difference:
    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Line:
    text: str
    differs: bool


#: what a group shows: (title, (label, field)…). Every field of the configuration stands in one of them.
_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Source",
        (
            ("Store", "source.type"),
            ("Path", "source.path"),
            ("File pattern", "source.file_pattern"),
            ("Exclude pattern", "source.exclude_pattern"),
            ("Smallest file, bytes", "source.min_bytes"),
            ("Largest file, bytes", "source.max_bytes"),
            ("Modified after", "source.modified_after"),
            ("Modified before", "source.modified_before"),
            ("Rests before it is loaded, seconds", "source.settle_seconds"),
            ("Loaded after two equal looks", "source.two_looks"),
            ("Waits for a marker in its folder", "source.await_marker"),
            ("Temporary names", "source.temporary_names"),
            ("Discovery", "source.discovery"),
            ("Late files of a date, hours", "source.lateness_hours"),
            ("Whole listing every, hours", "source.audit_hours"),
            ("After loading", "source.after_load.action"),
            ("After so many days", "source.after_load.days"),
            ("Archive", "source.after_load.to"),
        ),
    ),
    (
        "Format",
        (
            ("Type", "format.type"),
            ("Header", "format.options.header"),
            ("Delimiter", "format.options.delimiter"),
            ("Quote", "format.options.quote"),
            ("Escape", "format.options.escape"),
            ("Lines above the header", "format.options.skip_lines"),
            ("Lines of comment begin with", "format.options.comment"),
            ("Text that means null", "format.options.null_value"),
            ("Other such texts", "format.options.null_values"),
            ("Dates are written", "format.options.date_format"),
            ("Times are written", "format.options.timestamp_format"),
            ("A fraction begins with", "format.options.decimal_separator"),
            ("Thousands are parted by", "format.options.thousands_separator"),
            ("XML element of a row", "format.options.row_tag"),
            ("JSON path of the records", "format.options.records_path"),
            ("Encoding", "format.options.encoding"),
            ("Compression", "format.options.compression"),
            ("Rows over several lines", "format.options.multiline"),
            ("Time zone of times without one", "format.timezone"),
            ("Column rules", "format.columns"),
            ("Columns out of the path", "format.path_columns"),
            ("Order of columns", "format.column_order"),
            ("Rows that do not fit", "format.bad_rows"),
            ("Limit of such rows", "format.bad_rows_limit"),
            ("Files that change", "format.overwritten"),
            ("Skip equal content", "format.dedupe_content"),
        ),
    ),
    (
        "Schema",
        (
            ("Columns come from", "format.schema.inference"),
            ("Evolution", "format.schema.evolution_enabled"),
            ("New columns", "format.schema.evolution_mode"),
            ("Given schema", "format.schema.schema_json"),
            ("Type hints", "format.schema.hints"),
            ("Files that types are found out of", "format.schema.sample_files"),
            ("Bytes of them", "format.schema.sample_bytes"),
        ),
    ),
    (
        "Destination",
        (
            ("Catalog", "destination.catalog"),
            ("Database", "destination.database"),
            ("Table", "destination.table"),
            ("Write mode", "destination.write_mode"),
            ("Overwrites", "destination.overwrite_scope"),
            ("Merge keys", "destination.merge_keys"),
            ("Order of rows with one key", "destination.order_by"),
            ("Rows with an empty key", "destination.null_keys"),
            ("Delete when", "destination.delete_when"),
            ("Partitioning", "destination.partitioning.enabled"),
            ("Partitioned by", "destination.partitioning.columns"),
            ("Sorted by", "destination.sort_by"),
            ("Z-order", "destination.optimization.z_ordering_enabled"),
            ("Z-ordered by", "destination.optimization.z_ordering_columns"),
            ("Table properties", "destination.properties"),
        ),
    ),
    (
        "Schedule",
        (
            ("Frequency", "schedule.frequency"),
            ("Time", "schedule.time"),
            ("Day of the week", "schedule.weekday"),
            ("Time zone", "schedule.timezone"),
            ("Cron expression", "schedule.cron_expression"),
            ("Starts late by up to, seconds", "schedule.jitter_seconds"),
            ("Looks every, seconds", "schedule.poll_seconds"),
            ("Starts with", "schedule.start"),
            ("Backfill", "schedule.backfill.enabled"),
            ("Backfill from", "schedule.backfill.start_date"),
            ("A missed start", "schedule.misfire"),
            ("A start during a run", "schedule.overlap"),
        ),
    ),
    (
        "Limits",
        (
            ("Files a batch", "limits.files_per_batch"),
            ("Bytes a batch", "limits.bytes_per_batch"),
            ("Priority", "limits.priority"),
            ("Budget a month", "limits.monthly_budget"),
        ),
    ),
    (
        "Transformation, checks, engine",
        (
            ("SQL", "transform.sql"),
            ("Fewest rows a run", "quality.row_count_threshold"),
            ("Expectations", "quality.expectations"),
            ("Alerts", "quality.alerts_enabled"),
            ("Alerts go to", "quality.alert_recipients"),
            ("Engine", "engine"),
        ),
    ),
)
#: told though they are as by default.
_TOLD = frozenset(
    {
        "source.file_pattern", "format.options.delimiter", "format.bad_rows", "format.overwritten", "format.timezone",
        "format.schema.inference", "format.schema.evolution_mode", "destination.write_mode", "schedule.frequency",
        "limits.files_per_batch", "limits.bytes_per_batch",
    }
)  # fmt: skip
#: what it means that nothing is set.
_NONE = {
    "source.file_pattern": "every file",
    "format.options.delimiter": "found out from the first bytes",
    "schedule.frequency": "none: runs are started by hand",
    "source.audit_hours": "as the installation says",
}
#: what a word stands for, where it does not say so itself.
_MEANS = {
    "format.bad_rows rescue": "their values are kept in _rescued_data",
    "format.overwritten ignore": "another version of a loaded file is not loaded",
    "format.overwritten append": "another version of a loaded file is loaded too",
    "format.overwritten replace": "its rows take the place of those of the earlier version",
    "format.bad_rows quarantine": "malformed rows go to the quarantine table",
    "format.bad_rows drop": "malformed rows are dropped and counted",
    "format.bad_rows fail": "a file with more malformed rows than the limit is not loaded",
    "format.schema.inference auto": "from the first files, and from those that bring more",
    "format.schema.inference manual": "from the given schema",
    "format.schema.evolution_mode addNewColumns": "the table gets them before the rows are written",
    "format.schema.evolution_mode rescue": "their values are kept in _rescued_data",
    "format.schema.evolution_mode failOnNewColumns": "they stop the run, and nothing of it is published",
    "format.schema.evolution_mode addNewColumnsWithTypeWidening": "the table gets them, and its types become wider",
    "format.schema.evolution_mode none": "they are left out, and counted",
    "format.schema.evolution_mode review": "their files wait until somebody decides",
    "destination.write_mode append": "rows are added",
    "destination.write_mode overwrite": "the files of a run replace what is there",
    "destination.write_mode merge": "one row a key",
    "destination.null_keys rescue": "kept as rows of their own, and marked",
    "destination.null_keys fail": "they stop the batch",
    "source.after_load.action keep": "files stay where they are",
    "source.temporary_names skip": "files are left out that are called .tmp, .part, .crc and the like",
    "source.temporary_names load": "they are files like others",
    "source.discovery auto": "from the last names on, where they grow and that has proved right; else all is listed",
    "source.discovery full": "all is listed each time",
    "source.discovery incremental": "from the last names on, and all of it from time to time",
    "schedule.start new_only": "files that come from then on",
    "schedule.start from_date": "files modified from a date on",
    "schedule.start all": "every file that is there",
}
_WORDS = {True: "yes", False: "no", None: "not set", "": "empty"}


def groups(config: IngestionConfig) -> tuple[Group, ...]:
    """The whole configuration, but for its name, its cluster and its credentials, which pages show as links."""
    document = config.to_json()
    given = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def setting(label: str, field: str) -> Setting:
        value = value_at(document, field)
        return Setting(label, field, value, is_default=value_at(given, field) is None)

    return tuple(_group(title, [setting(*each) for each in settings]) for title, settings in _GROUPS)


def _group(title: str, settings: list[Setting]) -> Group:
    told = tuple(each for each in settings if not each.is_default or each.field in _TOLD)
    return Group(title, told, tuple(each for each in settings if each not in told))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Field by field, of two configurations as they are stored (without secrets)."""
    return tuple(
        Difference(field, said(value_at(old, field)), said(value_at(new, field))) for field in changed(old, new)
    )


def beside(one: str, other: str) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Two texts line by line, each line marked that the other does not have in its place."""
    ones, others = one.splitlines(), other.splitlines()
    same = SequenceMatcher(None, ones, others, autojunk=False).get_matching_blocks()
    kept = {line for block in same for line in range(block.a, block.a + block.size)}
    found = {line for block in same for line in range(block.b, block.b + block.size)}
    return (
        tuple(Line(text, number not in kept) for number, text in enumerate(ones)),
        tuple(Line(text, number not in found) for number, text in enumerate(others)),
    )


def said(value: Any) -> str:
    """A value as one text: ``yes``, ``not set``, ``a, b``, ``owner=shop``."""
    if value is None or isinstance(value, bool) or value == "":
        return _WORDS[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(_pairs(value)) or "none"
    if isinstance(value, list):
        return ", ".join(said(each) for each in value) or "none"
    return str(value)


def _pairs(value: Mapping[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        yield f"{key}={said(each)}"
