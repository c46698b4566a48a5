"""The ledger: every version of every file that an ingestion has seen."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BeforeValidator

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import After, Limit, Offset, page, page_after
from ingestions.api.parsing import SearchText
from ingestions.api.schemas import FileAnswer, FilePassport, Id
from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry
from ingestions.models.ledger import LedgerQuerySet
from ingestions.services import present
from ingestions.services.files import file_retry, file_skip

router = Router(tags=["Files"])

FileState = Annotated[
    Annotated[State, BeforeValidator(lambda text: text.upper() if isinstance(text, str) else text)] | None, Query(None)
]


def files_page(
    request: HttpRequest,
    response: HttpResponse,
    rows: LedgerQuerySet,
    *,
    state: State | None,
    q: str | None,
    limit: int,
    offset: int,
    after: int | None,
) -> list[dict[str, Any]]:
    """One page, oldest first: what is discovered meanwhile comes at the end and moves no page."""
    if state is not None:
        rows = rows.filter(state=state)
    if q:
        rows = rows.filter(address__icontains=q)
    if after is not None:
        shown = page_after(request, response, rows, limit=limit, after=after)
    else:
        shown = page(request, response, rows.order_by("pk"), limit=limit, offset=offset)
    return [present.file(row) for row in shown]


@router.get(
    "/ingestions/{ingestion_id}/files",
    summary="List the ledger of an ingestion",
    **operation("file_list", scope="read", ok={200: list[FileAnswer]}, problems=(404, 422)),
)
def index(
    request: ApiRequest,
    response: HttpResponse,
    ingestion_id: Id,
    limit: Limit,
    offset: Offset,
    after: After,
    state: FileState,
    q: Annotated[SearchText | None, Query(None, description="A part of the address.")],
) -> list[dict[str, Any]]:
    """The files seen for the destination the ingestion has now, in the order in which they were discovered.

    To read a long ledger to its end, begin with `after=0` and follow `Link`: each page costs the same.
    """
    ingestion = find.ingestion(request, ingestion_id)
    rows = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    return files_page(request, response, rows, state=state, q=q, limit=limit, offset=offset, after=after)


@router.get(
    "/files/{file_id}",
    summary="Show a file's passport",
    **operation("file_show", scope="read", ok={200: FilePassport}, problems=(404,)),
)
def show(request: ApiRequest, file_id: str) -> dict[str, Any]:
    return present.passport(find.file(request, file_id))


@router.post(
    "/files/{file_id}/skip",
    summary="Skip a file",
    **operation("file_skip", scope="run", ok={200: FileAnswer}, problems=(404, 409)),
)
def skip(request: ApiRequest, file_id: str) -> dict[str, Any]:
    """One that waits or has failed is not loaded. 409 for any other."""
    return present.file(file_skip(file=find.file(request, file_id), user=request.auth.user))


@router.post(
    "/files/{file_id}/retry",
    summary="Let a file be tried again",
    **operation("file_retry", scope="run", ok={200: FileAnswer}, problems=(404, 409)),
)
def retry(request: ApiRequest, file_id: str) -> dict[str, Any]:
    """One that has failed or was skipped waits for the next run and is looked at anew. 409 for any other."""
    return present.file(file_retry(file=find.file(request, file_id)))
