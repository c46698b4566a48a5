"""What REST answers about the schemas of tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ingestions.api.schemas import Answer, Id, Instant

SchemaChangeStatus = Literal["pending", "approved", "applied", "rejected", "withdrawn"]


class SchemaColumn(Answer):
    name: str
    type: str


class SchemaVersionAnswer(Answer):
    """A table's columns from then on, without ours."""

    id: int
    ingestion_id: Id
    destination: str
    number: int
    columns: list[SchemaColumn]
    ddl: list[str]
    files: list[str] = Field(description="The first files that asked for it.")
    note: str = Field(description="What it was made for.")
    run_id: Id | None
    actor: str | None = Field(description="Who approved it; null where the mode did.")
    created_at: Instant


class FieldChange(Answer):
    path: list[str] = Field(description="The column and the fields below it; `element` and `value` lead into lists.")
    kind: Literal["added", "widened"]
    was: str | None
    type: str | None


class SchemaChangeAnswer(Answer):
    id: int
    ingestion_id: Id
    destination: str
    number: int = Field(description="Counted for each table; a waiting file's reason names it.")
    status: SchemaChangeStatus
    changes: list[FieldChange]
    ddl: list[str] = Field(description="What approving it runs.")
    files: list[str] = Field(description="The first 1,000 files that bring it.")
    files_count: int
    run_id: Id | None
    schema_version: int | None = Field(description="The version that it became.")
    decided_by: str | None
    decided_at: Instant | None
    created_at: Instant


class SchemaChangeDecided(SchemaChangeAnswer):
    files_released: int = Field(description="Files that the next run loads.")
    effect: str
