"""The configuration of an ingestion: REST body, YAML file and frozen copy of a run are all this model.

Field names and nesting are the REST contract's. Unknown fields are refused. Secrets are taken out before a
configuration is stored (:func:`split_secrets`): what is kept never holds one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MASK = "***"
#: what a database's and Spark's whole numbers hold.
LARGEST = 2**63 - 1
#: credential fields that are secret, by any cloud; everything else of ``credentials`` may be shown.
SECRET_FIELDS = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "account_key",
        "sas_token",
        "client_secret",
        "connection_string",
        "service_account_json",
    }
)

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, ser_json_inf_nan="null")


class Credentials(Part):
    """One cloud's access. S3: keys, session token, ``role_arn`` (assumed with the keys or the ambient identity)."""

    ambient: bool = False
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    region_name: str | None = None
    path_style: bool | None = None
    account_name: str | None = None
    account_key: str | None = None
    sas_token: str | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    connection_string: str | None = None
    service_account_json: str | dict[str, Any] | None = None


class AfterLoad(Part):
    action: Literal["keep", "tag", "archive", "delete"] = "keep"
    days: int = Field(0, ge=0, le=36_500)
    to: str | None = None


class Source(Part):
    """Where files land. Sizes in bytes, spans in seconds; ``path`` as a person writes it (a glob in it is allowed)."""

    type: Literal["s3", "azure_blob", "gcs", "local"]
    path: str = Field(min_length=1, max_length=2048)
    file_pattern: str | None = None
    credentials: Credentials | None = None
    credential_id: str | None = None
    exclude_pattern: str | None = None
    min_bytes: int | None = Field(None, ge=0, le=LARGEST)
    max_bytes: int | None = Field(None, ge=0, le=LARGEST)
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    settle_seconds: int = Field(0, ge=0, le=366 * 86_400)
    #: a file is loaded once two listings, at least a second apart, have shown it the same.
    two_looks: bool = False
    #: files of a folder wait until one of this name (such as ``_SUCCESS``) is in it, or in a folder above it.
    await_marker: str | None = Field(None, min_length=1, max_length=200)
    #: names that files have while they are written (``.tmp``, ``.part``, ``.crc`` and the like).
    temporary_names: Literal["skip", "load"] = "skip"
    discovery: Literal["auto", "full", "incremental", "events"] = "auto"
    #: incremental: files may come into the folder of a date so long after its end.
    lateness_hours: float = Field(48, ge=0, le=24 * 366, allow_inf_nan=False)
    #: incremental: all of the source is listed again after so long; ``None``: as the installation says.
    audit_hours: float | None = Field(None, gt=0, le=24 * 366, allow_inf_nan=False)
    after_load: AfterLoad = Field(default_factory=AfterLoad)


class FormatOptions(Part):
    """Reader options; ``None`` means: found out from the first bytes."""

    multiline: bool | None = None
    compression: str | None = None
    header: bool | None = None
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    encoding: str | None = None
    null_value: str | None = None
    #: more texts that mean no value.
    null_values: list[Annotated[str, StringConstraints(max_length=200)]] = Field(default_factory=list, max_length=100)
    #: lines above the header, or above the first row, that are no rows.
    skip_lines: int = Field(0, ge=0, le=1000)
    #: lines that begin with this character are no rows.
    comment: str | None = None
    #: Spark's pattern that dates (times) are read by, in place of the ISO forms.
    date_format: str | None = Field(None, min_length=1, max_length=100)
    timestamp_format: str | None = Field(None, min_length=1, max_length=100)
    decimal_separator: Literal[".", ","] | None = None
    thousands_separator: str | None = None
    #: xml: the element that makes a row.
    row_tag: str | None = None
    #: json: where the records of a document are: ``Records[*]``, ``data.items[*]``.
    records_path: str | None = Field(None, max_length=500)


class ColumnRule(Part):
    from_: str = Field(alias="from")
    to: str | None = None
    type: str | None = None
    drop: bool = False


class Schema(Part):
    inference: Literal["auto", "manual"] = "auto"
    evolution_enabled: bool = True
    evolution_mode: Literal[
        "addNewColumns", "addNewColumnsWithTypeWidening", "rescue", "failOnNewColumns", "none", "review"
    ] = "addNewColumns"
    #: a Spark StructType as JSON (object or text), or DDL text ``"id bigint, name string"``; needed for ``manual``.
    schema_json_: dict[str, Any] | str | None = Field(None, alias="schema_json")
    hints: dict[str, str] = Field(default_factory=dict)
    #: of how many files and bytes the types are found out, at most; each shape of them by one file at least.
    sample_files: int = Field(32, ge=1, le=10_000)
    sample_bytes: int = Field(16 * 1024**2, ge=1, le=LARGEST)


class Format(Part):
    type: Literal["json", "csv", "parquet", "avro", "orc", "xml", "text", "binary", "auto"]
    options: FormatOptions = Field(default_factory=FormatOptions)
    columns: list[ColumnRule] = Field(default_factory=list)
    #: of a new table: these columns first, in this order.
    column_order: list[str] = Field(default_factory=list)
    #: columns out of the path: ``hive`` for folders like ``dt=2024-01-01``, or a pattern like ``{region}/{yyyy}``.
    path_columns: str | None = Field(None, min_length=1, max_length=1000)
    bad_rows: Literal["rescue", "quarantine", "drop", "fail"] = "rescue"
    bad_rows_limit: str | int | None = None
    overwritten: Literal["ignore", "append", "replace"] = "ignore"
    dedupe_content: bool = False
    timezone: str = "UTC"
    schema_: Schema = Field(default_factory=Schema, alias="schema")


class Partitioning(Part):
    enabled: bool = False
    columns: list[str] = Field(default_factory=list)


class Optimization(Part):
    z_ordering_enabled: bool = False
    z_ordering_columns: list[str] = Field(default_factory=list)


class Destination(Part):
    catalog: Identifier
    database: Identifier
    table: Identifier
    write_mode: Literal["append", "overwrite", "merge"] = "append"
    #: overwrite: the whole table, or the partitions that the new files have rows for; ``auto``: these where
    #: partitioning is on.
    overwrite_scope: Literal["auto", "table", "partitions"] = "auto"
    merge_keys: list[str] = Field(default_factory=list)
    #: merge: of several rows with one key the one with the highest value here counts.
    order_by: str | None = None
    #: merge: what becomes of a row whose key is empty: kept as a row of its own and marked, or the batch fails.
    null_keys: Literal["rescue", "fail"] = "rescue"
    #: merge: a condition over the feed's columns (``op = 'D'``); a row that meets it deletes its key's row.
    delete_when: str | None = Field(None, max_length=2000)
    sort_by: list[str] = Field(default_factory=list)
    properties: dict[str, str] = Field(default_factory=dict)
    partitioning: Partitioning = Field(default_factory=Partitioning)
    optimization: Optimization = Field(default_factory=Optimization)

    @property
    def key(self) -> str:
        """``catalog.database.table`` as people read it; also the ledger's name for the destination."""
        return f"{self.catalog}.{self.database}.{self.table}"


class Backfill(Part):
    enabled: bool = False
    start_date: datetime | None = None


class Schedule(Part):
    frequency: Literal["continuous", "hourly", "daily", "weekly", "custom"] | None = None
    #: of the day; of an hourly schedule its minutes count. Midnight where it is not said.
    time: str | None = None
    #: of a weekly schedule; monday where it is not said.
    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] | None = None
    timezone: str = "UTC"
    cron_expression: str | None = None
    #: each ingestion starts up to so many seconds late, always as late, so that not all start at once.
    jitter_seconds: int = Field(0, ge=0, le=86_400)
    poll_seconds: int = Field(5, ge=1, le=7 * 86_400)
    start: Literal["all", "new_only", "from_date"] = "all"
    backfill: Backfill = Field(default_factory=Backfill)
    misfire: Literal["run_once", "skip"] = "run_once"
    overlap: Literal["skip", "queue"] = "skip"


class Transform(Part):
    sql: str | None = None


class Limits(Part):
    files_per_batch: int = Field(1000, ge=1, le=100_000)
    bytes_per_batch: int = Field(10 * 1024**3, ge=1, le=LARGEST)
    priority: int = Field(0, ge=-1000, le=1000)
    monthly_budget: float | None = Field(None, ge=0, allow_inf_nan=False)


class Quality(Part):
    row_count_threshold: int | None = Field(None, ge=0, le=LARGEST)
    expectations: list[dict[str, Any]] = Field(default_factory=list)
    alerts_enabled: bool = False
    alert_recipients: list[str] = Field(default_factory=list)


class IngestionConfig(Part):
    """The whole configuration; ``model_dump(mode="json", by_alias=True)`` is what REST answers."""

    name: Name
    cluster_id: str
    source: Source
    format: Format
    destination: Destination
    schedule: Schedule = Field(default_factory=Schedule)
    transform: Transform = Field(default_factory=Transform)
    engine: Literal["batch", "stream"] = "batch"
    limits: Limits = Field(default_factory=Limits)
    quality: Quality = Field(default_factory=Quality)

    def to_json(self) -> dict[str, Any]:
        """The stored and answered form, aliases used (``from``, ``schema``)."""
        return self.model_dump(mode="json", by_alias=True)


def split_secrets(config: IngestionConfig) -> tuple[IngestionConfig, Credentials | None]:
    """The configuration without its inline credentials, and those credentials (``None`` where none were given)."""
    credentials = config.source.credentials
    bare = config.model_copy(update={"source": config.source.model_copy(update={"credentials": None})})
    return bare, credentials
