"""Ingestions: made, listed, shown, deleted, run."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import Q
from django.http import HttpResponse
from ninja import Query, Router, Status

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.changes import IngestionChanges, given
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.parsing import SearchText
from ingestions.api.refresh import CLUSTER
from ingestions.api.schemas import Id, IdempotencyKey, IngestionAnswer, IngestionEdited, IngestionStatus, RunAccepted
from ingestions.engine.config import IngestionConfig
from ingestions.models import Ingestion
from ingestions.services import present
from ingestions.services.editing import ingestion_update
from ingestions.services.ingestions import ingestion_create, ingestion_delete
from ingestions.services.refresh import ingestion_delete_with_table
from ingestions.services.runs import run_start

router = Router(tags=["Ingestions"])


@router.post(
    "",
    summary="Create an ingestion",
    **operation("ingestion_create", scope="write", ok={201: IngestionAnswer}, problems=(400, 413, 422), by_alias=True),
)
def create(request: ApiRequest, config: IngestionConfig) -> Status[Any]:
    """A draft; a draft can be run by hand. Secrets go in and never come out: `***` stands for one that is set."""
    ingestion, warnings = ingestion_create(owner=request.auth.user, config=config.to_json())
    return Status(201, present.ingestion(ingestion, warnings=warnings))


@router.get(
    "",
    summary="List ingestions",
    **operation("ingestion_list", scope="read", ok={200: list[IngestionAnswer]}, problems=(422,), by_alias=True),
)
def index(
    request: ApiRequest,
    response: HttpResponse,
    limit: Limit,
    offset: Offset,
    status: Annotated[IngestionStatus | None, Query(None)],
    q: Annotated[SearchText | None, Query(None, description="A part of the name or of the destination.")],
) -> list[dict[str, Any]]:
    """Newest first. The total stands in `X-Total-Count`, the pages beside this one in `Link`."""
    rows = Ingestion.objects.visible_to(request.auth.user)
    if status is not None:
        rows = rows.filter(status=status)
    if q:
        rows = rows.filter(Q(name__icontains=q) | Q(destination_key__icontains=q))
    shown = page(request, response, present.ingestions(rows), limit=limit, offset=offset)
    return [present.ingestion(row) for row in shown]


@router.get(
    "/{ingestion_id}",
    summary="Show an ingestion",
    **operation("ingestion_show", scope="read", ok={200: IngestionAnswer}, problems=(404,), by_alias=True),
)
def show(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    return present.ingestion(find.ingestion(request, ingestion_id))


@router.put(
    "/{ingestion_id}",
    summary="Change an ingestion",
    **operation(
        "ingestion_update",
        scope="write",
        ok={200: IngestionEdited},
        problems=(400, 404, 409, 413, 422),
        by_alias=True,
    ),
)
def update(request: ApiRequest, ingestion_id: Id, body: IngestionChanges) -> dict[str, Any]:
    """Objects merge deeply, lists and null replace; what is left out stays. `***` keeps a secret. `effects` says what
    the edit means for the table and the ledger. With `config_version` an edit over an older version is refused with
    409 `stale_edit`, and `errors` tells what was changed meanwhile.
    """
    ingestion = find.ingestion(request, ingestion_id)
    return present.edited(ingestion_update(ingestion=ingestion, changes=given(body), user=request.auth.user))


@router.delete(
    "/{ingestion_id}",
    summary="Delete an ingestion",
    **operation("ingestion_delete", scope="write", ok={204: None}, problems=(404, 409, 422, 502, 504)),
)
def delete(
    request: ApiRequest,
    ingestion_id: Id,
    drop_table: Annotated[bool, Query(False, description="Drop the table as well.")],
) -> Status[None]:
    """Forgets the ingestion, its runs and its ledger. The table and the files stay; with `drop_table` the table goes
    too. 409 for a table that the ingestion did not create, or that holds rows it did not write.
    """
    ingestion = find.ingestion(request, ingestion_id)
    if drop_table:
        ingestion_delete_with_table(ingestion=ingestion, bounded=CLUSTER)
    else:
        ingestion_delete(ingestion=ingestion)
    return Status(204, None)


@router.post(
    "/{ingestion_id}/run",
    summary="Start a run",
    **operation("ingestion_run", scope="run", ok={202: RunAccepted}, problems=(404, 409, 422)),
)
def run(
    request: ApiRequest,
    ingestion_id: Id,
    idempotency_key: IdempotencyKey,
) -> Status[dict[str, str]]:
    """One run at a time: 409 while another one of this ingestion is queued or running, with its `run_id`."""
    ingestion = find.ingestion(request, ingestion_id)
    started = run_start(ingestion=ingestion, user=request.auth.user, idempotency_key=idempotency_key or "")
    return Status(202, {"run_id": str(started.pk), "ingestion_id": str(ingestion.pk), "status": "accepted"})
