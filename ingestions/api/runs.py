"""Runs of an ingestion, and the files that each of them dealt with."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpResponse
from ninja import Query, Router, Status

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.files import FileState, files_page
from ingestions.api.paging import After, Limit, Offset, page
from ingestions.api.parsing import SearchText
from ingestions.api.schemas import FileAnswer, Id, IdempotencyKey, RunAccepted, RunAnswer, RunStatus
from ingestions.models import LedgerEntry, Run
from ingestions.services import present
from ingestions.services.runs import run_cancel, run_retry

router = Router(tags=["Runs"])


@router.get(
    "/{ingestion_id}/runs",
    summary="List the runs of an ingestion",
    **operation("run_list", scope="read", ok={200: list[RunAnswer]}, problems=(404, 422)),
)
def index(
    request: ApiRequest,
    response: HttpResponse,
    ingestion_id: Id,
    limit: Limit,
    offset: Offset,
    status: Annotated[RunStatus | None, Query(None)],
) -> list[dict[str, Any]]:
    """Newest first. The total stands in `X-Total-Count`, the pages beside this one in `Link`."""
    rows = Run.objects.filter(ingestion=find.ingestion(request, ingestion_id))
    if status is not None:
        rows = rows.filter(status=status)
    return [present.run(row) for row in page(request, response, present.runs(rows), limit=limit, offset=offset)]


@router.get(
    "/{ingestion_id}/runs/{run_id}",
    summary="Show a run",
    **operation("run_show", scope="read", ok={200: RunAnswer}, problems=(404,)),
)
def show(request: ApiRequest, ingestion_id: Id, run_id: Id) -> dict[str, Any]:
    return present.run(find.run(request, ingestion_id, run_id))


@router.post(
    "/{ingestion_id}/runs/{run_id}/cancel",
    summary="Cancel a run",
    **operation("run_cancel", scope="run", ok={202: RunAnswer}, problems=(404, 409)),
)
def cancel(request: ApiRequest, ingestion_id: Id, run_id: Id) -> Status[dict[str, Any]]:
    """Asks the run to stop. Whole batches stay, nothing half is ever published; a queued run ends at once.
    409 for a run that has ended.
    """
    return Status(202, present.run(run_cancel(run=find.run(request, ingestion_id, run_id))))


@router.post(
    "/{ingestion_id}/runs/{run_id}/retry",
    summary="Retry a run",
    **operation("run_retry", scope="run", ok={202: RunAccepted}, problems=(404, 409, 422)),
)
def retry(request: ApiRequest, ingestion_id: Id, run_id: Id, idempotency_key: IdempotencyKey) -> Status[dict[str, str]]:
    """A new run. Files that failed in this one are looked at anew; files that have arrived since are loaded too.
    409 while a run is active, and for a run in which nothing failed.
    """
    run = find.run(request, ingestion_id, run_id)
    again = run_retry(run=run, user=request.auth.user, idempotency_key=idempotency_key or "")
    return Status(202, {"run_id": str(again.pk), "ingestion_id": str(run.ingestion_id), "status": "accepted"})


@router.get(
    "/{ingestion_id}/runs/{run_id}/files",
    summary="List the files of a run",
    **operation("run_files", scope="read", ok={200: list[FileAnswer]}, problems=(404, 422)),
)
def files(
    request: ApiRequest,
    response: HttpResponse,
    ingestion_id: Id,
    run_id: Id,
    limit: Limit,
    offset: Offset,
    after: After,
    state: FileState,
    q: Annotated[SearchText | None, Query(None, description="A part of the address.")],
) -> list[dict[str, Any]]:
    """The files that got their state in this run, in the order in which they were discovered."""
    rows = LedgerEntry.objects.filter(run=find.run(request, ingestion_id, run_id))
    return files_page(request, response, rows, state=state, q=q, limit=limit, offset=offset, after=after)
