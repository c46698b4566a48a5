"""Malformed rows that are kept out of the tables, by the files they come from."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.schemas import Answer, Id
from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry
from ingestions.services import present
from ingestions.services.quarantine import bad_files

router = Router(tags=["Files"])
OfIngestion = Annotated[uuid.UUID | None, Query(None, description="Only files of this ingestion.")]
OfRun = Annotated[uuid.UUID | None, Query(None, description="Only files that this run has loaded.")]
FileId = Annotated[int | None, Query(None, description="Only this file.", ge=0, lt=10**18)]


class QuarantineAnswer(Answer):
    """A file with malformed rows that are kept out of its table: read = in the table + quarantined + dropped."""

    file_id: int
    path: str
    state: State
    ingestion_id: Id
    run_id: Id | None
    batch_id: Id | None
    read_rows: int | None
    rows: int | None
    quarantined_rows: int
    dropped_rows: int
    table: str | None = Field(description="Where its quarantined rows are: file, line, reason and text of each.")
    query: str | None = Field(description="SQL that shows these rows.")


@router.get(
    "/quarantine",
    summary="List files with malformed rows",
    **operation("quarantine_list", scope="read", ok={200: list[QuarantineAnswer]}, problems=(422,)),
)
def index(
    request: ApiRequest,
    response: HttpResponse,
    limit: Limit,
    offset: Offset,
    ingestion_id: OfIngestion,
    run_id: OfRun,
    file_id: FileId,
) -> list[dict[str, Any]]:
    """Files of which rows are in the quarantine table, or were dropped, the last ones first. The rows themselves are in
    the table that is named: file, line, reason and text of each."""
    rows = bad_files(LedgerEntry.objects.visible_to(request.auth.user)).select_related("ingestion")
    for name, wanted in (("ingestion", ingestion_id), ("run", run_id), ("pk", file_id)):
        if wanted is not None:
            rows = rows.filter(**{name: wanted})
    return [present.quarantine(row) for row in page(request, response, rows, limit=limit, offset=offset)]
