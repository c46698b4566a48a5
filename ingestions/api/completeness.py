"""Every object in the bucket by state and reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Query, Router
from pydantic import Field

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.schemas import Answer, Id, Instant
from ingestions.services import present
from ingestions.services.census import census
from ingestions.services.discovering import outlook

router = Router(tags=["Ingestions"])


class ObjectGroup(Answer):
    state: str
    cause: str = Field(description="The rule that has skipped them, where one has.")
    words: str
    objects: int
    bytes: int


class CompletenessResult(Answer):
    """`groups`, `not_discovered`, `not_matched`, `unusable_names` and `left_out` add up to `objects`."""

    objects: int = Field(description="All that is in the source, as the store lists it.")
    bytes: int
    groups: list[ObjectGroup] = Field(description="Objects that the ledger has in this version.")
    not_discovered: int = Field(description="Wanted by the pattern, and not in the ledger yet.")
    not_discovered_versions: int = Field(description="Of these: new versions of files that the ledger knows.")
    not_discovered_examples: list[str]
    not_matched: int = Field(description="The pattern does not mean them.")
    unusable_names: int
    left_out: int = Field(description="Folders that a console made; links that lead out of the allowed folders.")
    gone: dict[str, int] = Field(description="Files of the ledger, by state, that are not in the source any more.")
    elsewhere: int = Field(description="Files of the ledger from another path than the present one.")
    adds_up: bool = Field(description="false: source or ledger changed while they were counted.")
    verdict: str


class NextListing(Answer):
    mode: Literal["full", "incremental", "audit"]
    reason: str
    growth: str = Field(description="How the names grow, or why that cannot be told.")
    last_full_at: Instant | None
    audit_at: Instant | None = Field(description="When all is listed again; null where all is listed each time.")
    files_missed: int = Field(description="Files that audits have found and incremental listings had missed.")


class CompletenessAnswer(Answer):
    ingestion_id: Id
    status: Literal["counting", "done", "failed"]
    started_at: Instant
    updated_at: Instant
    seconds: float
    objects_counted: int = Field(description="So far.")
    result: CompletenessResult | None
    error: str | None
    discovery: NextListing


@router.get(
    "/{ingestion_id}/completeness",
    summary="Count what is in the source by what became of it",
    **operation(
        "ingestion_completeness", scope="read", ok={200: CompletenessAnswer}, problems=(400, 404, 422, 502, 503)
    ),
)
def completeness(
    request: ApiRequest,
    ingestion_id: Id,
    anew: Annotated[bool, Query(False, description="Count again, though a count has just ended.")],
) -> dict[str, Any]:
    """Each object of the source has a state and a reason, and their numbers add up to the source's own. A count that
    takes longer than some seconds goes on: ask again to see how far it is (`status: counting`).
    """
    ingestion = find.ingestion(request, ingestion_id)
    return present.completeness(census(ingestion=ingestion, anew=anew), outlook(ingestion))
