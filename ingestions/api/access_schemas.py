"""Bodies and answers about clusters and tokens."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from ingestions.api.schemas import Answer, Body, Id, Instant, Scope, ShortText
from ingestions.engine.config import Name


class Pricing(Answer):
    dbu_hour: float
    storage_gb_month: float


class CheckAnswer(Answer):
    name: str
    ok: bool
    warning: bool = Field(description="It works, and still a person should look.")
    detail: str
    hint: str
    seconds: float


class ConnectionTest(Answer):
    status: Literal["success", "failed"]
    spark_version: str | None
    iceberg: bool
    catalogs: list[str]
    formats: list[str] = Field(description="Formats that the cluster has a reader for.")
    latency_ms: int | None
    checks: list[CheckAnswer]


class ClusterAnswer(Answer):
    id: Id
    name: str
    status: Literal["running", "stopped", "unknown"]
    workers: int
    dbu_per_worker: float
    spark_connect_url: str
    token: Literal["***"] | None = Field(description="Whether one is set.")
    default_catalog: str
    pricing: Pricing
    currency: str
    max_runs: int | None = Field(description="So many runs work on it at once at most; null: no bound.")
    is_embedded: bool
    last_test: dict[str, Any] | None
    last_test_at: Instant | None


class PricingBody(Body):
    dbu_hour: float | None = Field(None, ge=0)
    storage_gb_month: float | None = Field(None, ge=0)


class ClusterChanges(Body):
    """Fields that are left out keep their values."""

    name: Name | None = None
    spark_connect_url: str | None = Field(
        None, min_length=1, max_length=4000, description="`sc://host:port/;key=value`; a token in it is kept apart."
    )
    token: str | None = Field(
        None, max_length=10_000, description="Write-only; `***` keeps the one set, null takes it away."
    )
    workers: int | None = Field(None, ge=1, le=100_000)
    dbu_per_worker: float | None = Field(None, ge=0)
    max_runs: int | None = Field(None, ge=0, le=100_000, description="Runs at once at most; 0 takes the bound away.")
    default_catalog: str | None = Field(None, max_length=255)
    pricing: PricingBody | None = None
    currency: str | None = Field(None, min_length=3, max_length=3)


class ClusterBody(ClusterChanges):
    name: Name
    spark_connect_url: str = Field(
        min_length=1, max_length=4000, description="`sc://host:port/;key=value`; a token in it is kept apart."
    )


# ---- tokens


class TokenBody(Body):
    name: ShortText = "token"
    scope: Scope = "read"
    expires_at: AwareDatetime | None = Field(None, examples=["2030-12-31T00:00:00Z"])


class TokenAnswer(Answer):
    id: int
    name: str
    prefix: str
    scope: Scope
    user: str
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    revoked_at: Instant | None


class TokenCreated(TokenAnswer):
    token: str = Field(description="Shown this once and never again.")
