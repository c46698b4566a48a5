"""What a configuration may not say although each of its values has the right type: fields that contradict each other,
texts that are no pattern, transform or type. Asks no store, no cluster and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from autoloader.lib.errors import ConfigError
from ingestions.engine import config, recipients, row_rules, schedule_rules
from ingestions.engine.config import IngestionConfig
from ingestions.engine.loader.matching import is_reserved
from ingestions.engine.partition_text import sort_fault, transform_fault
from ingestions.engine.schema import types
from ingestions.engine.schema.path_columns import PathColumns


@dataclass(frozen=True)
class Fault:
    """``field`` is dotted; ``message`` says what is wrong with it, ``hint`` what would be right."""

    field: str
    code: str
    message: str
    hint: str


class RefusedConfig(ConfigError):
    """``errors`` has a ``{"loc", "msg"}`` for each fault; code, message and hint are the first one's."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(first.code, first.message + more, first.hint, field=first.field)
        self.errors = [{"loc": fault.field, "msg": f"{fault.message} {fault.hint}".strip()} for fault in faults]


def check(configuration: IngestionConfig) -> None:
    """Raises :class:`RefusedConfig` with every fault found."""
    parts: tuple[Callable[[IngestionConfig], Iterator[Fault]], ...] = (
        _names,
        _source,
        _columns,
        _paths_and_order,
        _schema,
        _writing,
        _layout,
        _properties,
    )
    faults = [fault for part in parts for fault in part(configuration)]
    faults += [
        Fault(*each) for module in (row_rules, schedule_rules, recipients) for each in module.faults(configuration)
    ]
    if faults:
        raise RefusedConfig(faults)


# ---- names


def has_control(text: str) -> bool:
    return any(char < " " or "\x7f" <= char <= "\x9f" for char in text)


def _names(given: IngestionConfig) -> Iterator[Fault]:
    for field, name in (
        ("name", given.name),
        ("destination.catalog", given.destination.catalog),
        ("destination.database", given.destination.database),
        ("destination.table", given.destination.table),
    ):
        if has_control(name):
            yield Fault(field, "invalid_name", f"The {field} holds a control character.", "Take it out.")
        elif not name.strip():
            yield Fault(field, "invalid_name", f"The {field} is blank.", "Give it a name.")
        elif field != "name" and (name in (".", "..") or "/" in name or "\\" in name):
            yield Fault(
                field,
                "invalid_name",
                f"Iceberg keeps tables in folders of their names, and {name!r} is no name of a folder.",
                "Use a name without / and \\ that is not . or ..",
            )


# ---- source

_EVERYTHING = ("*", "**", "**/*")
#: credential fields by the type of store that knows them.
_BELONGS = {
    "s3": {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "role_arn", "endpoint_url", "region_name",
        "path_style", "ambient",
    },
    "azure_blob": {
        "account_name", "account_key", "sas_token", "tenant_id", "client_id", "client_secret", "connection_string",
        "endpoint_url", "ambient",
    },
    "gcs": {"service_account_json", "endpoint_url", "ambient"},
    "local": {"ambient"},
}  # fmt: skip


def _source(given: IngestionConfig) -> Iterator[Fault]:
    source = given.source
    if source.min_bytes is not None and source.max_bytes is not None and source.min_bytes > source.max_bytes:
        yield Fault(
            "source.max_bytes",
            "contradiction",
            f"No file has at least {source.min_bytes:,} and at most {source.max_bytes:,} bytes.",
            "Let min_bytes be the smaller one.",
        )
    after, before = _aware(source.modified_after), _aware(source.modified_before)
    if after is not None and before is not None and after >= before:
        yield Fault(
            "source.modified_before",
            "contradiction",
            "No file was modified after modified_after and before modified_before.",
            "Let modified_after be the earlier one.",
        )
    if source.exclude_pattern is not None and source.exclude_pattern in (*_EVERYTHING, source.file_pattern):
        yield Fault(
            "source.exclude_pattern",
            "contradiction",
            "The pattern of files to leave out matches every file that is wanted.",
            "Narrow it, or leave it empty.",
        )
    action, to = source.after_load.action, source.after_load.to
    if action == "archive" and not (to and to.strip()):
        yield Fault("source.after_load.to", "missing_field", "It is not said where files are archived.", "Give a path.")
    if action != "archive" and to is not None:
        yield Fault(
            "source.after_load.to",
            "contradiction",
            f"A path is given, and files are not archived (action {action!r}).",
            "Use the action archive, or leave the path out.",
        )


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def check_credentials(source_type: str, credentials: config.Credentials | None) -> None:
    """Raises ConfigError for credentials that belong to another store."""
    for name in credentials.model_dump(exclude_defaults=True) if credentials is not None else ():
        if name not in _BELONGS[source_type]:
            raise ConfigError(
                "foreign_credentials",
                f"{name} is no credential of a source of the type {source_type!r}.",
                "Leave it out (null takes away one that is set).",
                field=f"source.credentials.{name}",
            )


# ---- format


def _columns(given: IngestionConfig) -> Iterator[Fault]:
    targets: dict[str, int] = {}
    sources: set[str] = set()
    for index, rule in enumerate(given.format.columns):
        at = f"format.columns.{index}"
        if rule.from_ in sources:
            yield Fault(f"{at}.from", "contradiction", f"Two rules are for the column {rule.from_!r}.", "Join them.")
        sources.add(rule.from_)
        if rule.drop and (rule.to is not None or rule.type is not None):
            yield Fault(
                f"{at}.drop",
                "contradiction",
                f"The column {rule.from_!r} is dropped and renamed or retyped at once.",
                "Do one of these.",
            )
            continue
        if rule.drop:
            continue
        target = rule.from_ if rule.to is None else rule.to
        if not target.strip() or has_control(target):
            yield Fault(f"{at}.to", "invalid_name", f"The column's name {target!r} is not usable.", "Give another one.")
        elif is_reserved(target) and rule.to is not None:
            yield Fault(f"{at}.to", "reserved_name", f"The name {target} is one of Autoloader's or Iceberg's own.",
                        "Give another one.")  # fmt: skip
        elif target.lower() in targets:
            other = given.format.columns[targets[target.lower()]].from_
            yield Fault(
                f"{at}.to",
                "contradiction",
                f"The columns {other!r} and {rule.from_!r} would both become {target!r}.",
                "Give them different names; upper and lower case make no difference in a table.",
            )
        targets.setdefault(target.lower(), index)
        if rule.type is not None:
            yield from _type(rule.type, f"{at}.type")


def _type(text: str, field: str) -> Iterator[Fault]:
    try:
        types.parse(text)
    except ConfigError as error:
        yield Fault(field, error.code, error.message, error.hint)
    except RecursionError:
        yield Fault(field, "bad_type", "The type is nested too deeply.", "Use string for what lies deeper.")


def _paths_and_order(given: IngestionConfig) -> Iterator[Fault]:
    yield from _list_of_columns(given.format.column_order, "format.column_order")
    try:
        PathColumns.of(given.format.path_columns, "")
    except ConfigError as error:
        yield Fault("format.path_columns", error.code, error.message, error.hint)


def _schema(given: IngestionConfig) -> Iterator[Fault]:
    schema = given.format.schema_
    ruled = {rule.to or rule.from_: rule.type for rule in given.format.columns if rule.type and not rule.drop}
    for name, text in schema.hints.items():
        field = f"format.schema.hints.{name}"
        if not name.strip() or has_control(name):
            yield Fault(field, "invalid_name", f"The column's name {name!r} is not usable.", "Give another one.")
        faults = list(_type(text, field))
        yield from faults
        if not faults and name in ruled and ruled[name] != text:
            yield Fault(
                field,
                "contradiction",
                f"The column {name!r} is {text} by the hint and {ruled[name]} by format.columns.",
                "Give its type in one place.",
            )
    field = "format.schema.schema_json"
    if schema.schema_json_ is None:
        if schema.inference == "manual":
            yield Fault(field, "missing_field", "The schema is manual, and there is none.",
                        "Give it as Spark's JSON or as DDL, such as “id bigint, name string”.")  # fmt: skip
        return
    if schema.inference != "manual":
        yield Fault(field, "contradiction", "A schema is given, and columns are to be found out (inference “auto”).",
                    "Set inference to manual, or leave the schema out.")  # fmt: skip
    yield from _schema_json(schema.schema_json_, field)


def _schema_json(value: str | Mapping[str, Any], field: str) -> Iterator[Fault]:
    hint = "Give Spark's JSON form of a struct, or DDL, such as “id bigint, name string”."
    try:
        columns = types.parse_columns(value)
    except ConfigError as error:
        yield Fault(field, error.code, error.message, error.hint)
        return
    except (LookupError, TypeError, AttributeError, RecursionError):
        yield Fault(field, "bad_type", "The schema is not Spark's JSON form of a struct.", hint)
        return
    if not columns:
        yield Fault(field, "bad_type", "The schema names no column.", hint)
    seen: set[str] = set()
    for column in columns:
        if not column.name.strip() or has_control(column.name):
            yield Fault(field, "invalid_name", f"The column's name {column.name!r} is not usable.", "Give another one.")
        if column.name.lower() in seen:
            yield Fault(field, "contradiction", f"The schema names the column {column.name!r} twice.",
                        "Upper and lower case make no difference in a table.")  # fmt: skip
        seen.add(column.name.lower())


# ---- destination


def _writing(given: IngestionConfig) -> Iterator[Fault]:
    to = given.destination
    if to.write_mode == "merge":
        if not to.merge_keys:
            yield Fault("destination.merge_keys", "missing_field", "Rows are merged by keys, and there are none.",
                        "List the columns that tell one row from another.")  # fmt: skip
        yield from _list_of_columns(to.merge_keys, "destination.merge_keys")
        if to.order_by is not None:
            yield from _list_of_columns([to.order_by], "destination.order_by")
            if to.order_by in to.merge_keys:
                yield Fault("destination.order_by", "contradiction",
                            f"Rows with one key have one value of {to.order_by!r}, as it is a key.",
                            "Order by another column.")  # fmt: skip
        if to.delete_when is not None and not to.delete_when.strip():
            yield Fault("destination.delete_when", "missing_field", "The condition is blank.", "Leave it out.")
        return
    for name, value, unused in (
        ("merge_keys", to.merge_keys, []),
        ("order_by", to.order_by, None),
        ("delete_when", to.delete_when, None),
        ("null_keys", to.null_keys, "rescue"),
    ):
        if value != unused:
            yield Fault(
                f"destination.{name}",
                "contradiction",
                f"{name} is for merging, and the write mode is {to.write_mode}.",
                "Use the write mode merge, or leave it out.",
            )


def _list_of_columns(names: Sequence[str], field: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for name in names:
        if not name.strip() or has_control(name):
            yield Fault(field, "invalid_name", f"{name!r} is no name of a column.", "Give the column's name.")
        elif name.lower() in seen:
            yield Fault(field, "contradiction", f"The column {name!r} stands there twice.", "Name it once.")
        seen.add(name.lower())


def _layout(given: IngestionConfig) -> Iterator[Fault]:
    to = given.destination
    partitioning, optimization = to.partitioning, to.optimization
    field = "destination.partitioning.columns"
    if partitioning.enabled and not partitioning.columns:
        yield Fault(field, "missing_field", "Partitioning is on, and there is no column for it.",
                    "Give columns or transforms, such as days(ts), or turn it off.")  # fmt: skip
    yield from _list_of_columns(partitioning.columns, field)
    for text in partitioning.columns:
        if text.strip() and (why := transform_fault(text)):
            yield Fault(field, "bad_partition", f"The table cannot be partitioned by “{text}”: {why}.",
                        "Use a column, years/months/days/hours(column), bucket(16, column) or truncate(4, column); "
                        "a column whose name has brackets stands in backticks.")  # fmt: skip
    yield from _list_of_columns(to.sort_by, "destination.sort_by")
    for text in to.sort_by:
        if text.strip() and (why := sort_fault(text)):
            yield Fault("destination.sort_by", "bad_sort", f"The table cannot be sorted by “{text}”: {why}.",
                        "Write a column, and asc or desc after it where it matters: “ts desc”; a column whose name "
                        "is not plain stands in backticks.")  # fmt: skip
    field = "destination.optimization.z_ordering_columns"
    if optimization.z_ordering_enabled and not optimization.z_ordering_columns:
        yield Fault(field, "missing_field", "Z-ordering is on, and there is no column for it.",
                    "Give columns, or turn it off.")  # fmt: skip
    yield from _list_of_columns(optimization.z_ordering_columns, field)


#: properties that are not a person's to set: Spark's and Iceberg's own, and what would break how rows are written.
_RESERVED = frozenset(
    [
        "provider", "location", "owner", "external", "is_managed_location", "uuid", "current-schema",
        "current-snapshot-id", "current-snapshot-summary", "current-snapshot-timestamp-ms", "snapshot-count",
        "default-partition-spec", "default-sort-order",
    ]
)  # fmt: skip
_BREAKING = {
    "write.spark.accept-any-schema": "With it Spark writes columns that the table has not, and merging fails.",
    "write.wap.enabled": "With it rows go to where the session says, and Autoloader writes to branches of its own.",
}


def _properties(given: IngestionConfig) -> Iterator[Fault]:
    for key, value in given.destination.properties.items():
        field = f"destination.properties.{key}"
        if not key.strip() or has_control(key) or has_control(value):
            yield Fault(field, "invalid_property", f"The property {key!r} is blank or holds a control character.",
                        "Correct it.")  # fmt: skip
        elif key.lower() in _RESERVED:
            yield Fault(field, "invalid_property", f"The property {key} is set by Spark or Iceberg.", "Leave it out.")
        elif key in _BREAKING and value.strip().lower() != "false":
            yield Fault(field, "invalid_property", f"The property {key} would break loading. {_BREAKING[key]}",
                        "Leave it out.")  # fmt: skip
        elif key == "format-version" and value.strip() not in ("2", "3"):
            yield Fault(field, "invalid_property", f"Tables of format version {value} cannot hold what is needed.",
                        "Use 2, which is the default.")  # fmt: skip
