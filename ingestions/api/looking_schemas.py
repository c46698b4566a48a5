"""What previews, dry runs and estimates answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ingestions.api.schemas import Answer, Id


class PreviewColumn(Answer):
    name: str
    data_type: str
    nullable: bool
    is_new: bool = Field(description="The table has it not yet.")
    null_fraction: float | None = Field(description="Share of the rows read without a value in it.")
    rescued: int = Field(description="Rows whose value does not fit the type and goes to _rescued_data.")
    examples: list[str]


class PreviewAnswer(Answer):
    schema_: list[PreviewColumn] = Field(alias="schema")
    sample_data: list[str] = Field(description="Each row as a JSON text, our columns included.")
    file_count: int
    total_bytes: int
    estimated_records: int
    malformed_records: int
    malformed_fate: str = Field(description="What becomes of these, in a sentence.")
    rescued_records: int
    files_read: list[str]
    files_skipped: dict[str, int]
    inconsistencies: list[str]
    recommendations: list[str]
    ddl: list[str]
    no_ddl: str = Field(description="Why nothing is altered, where `ddl` is empty.")
    table_exists: bool
    hint: str
    complete: bool = Field(description="false: the listing was cut off, and the counts are those until then.")


class Factor(Answer):
    value: float
    unit: str
    source: str


class FirstRun(Answer):
    seconds: float
    compute: float


class CostAnswer(Answer):
    """Money in the cluster's currency."""

    compute_per_run: float
    compute_monthly: float
    storage_monthly: float
    discovery_monthly: float
    total_monthly: float
    low: float
    high: float
    basis: Literal["measured", "modelled"]
    currency: str
    first_run: FirstRun
    breakdown_details: dict[str, Factor]


class DryRunProblem(Answer):
    file: str
    message: str
    hint: str


class DryRunCost(Answer):
    compute: float
    seconds: float
    currency: str
    basis: Literal["measured", "modelled"]


class DryRunAnswer(Answer):
    ingestion_id: Id
    files: int
    bytes: int
    files_skipped: dict[str, int]
    estimated_rows: int
    batches: int
    write_mode: str
    table: str
    table_exists: bool
    ddl: list[str] = Field(description="The statements that would run, in their order.")
    no_ddl: str = Field(description="Why nothing is altered, where `ddl` is empty.")
    problems: list[DryRunProblem]
    first_files: list[str]
    cost: DryRunCost
    hint: str
    complete: bool
