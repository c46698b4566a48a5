"""Dropping an ingestion's table and loading it again."""

from __future__ import annotations

from typing import Any

from ninja import Router, Status

from autoloader.lib.bounded import Bounded
from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.problems import Invalid
from ingestions.api.schemas import Id, RefreshAnswer, RefreshBody
from ingestions.services.refresh import ingestion_refresh

router = Router(tags=["Ingestions"])

#: what drops tables from a web process: few at once, and none longer than a person waits.
CLUSTER = Bounded(what="the cluster", deadline_seconds=30)
PROBLEMS = (400, 404, 409, 413, 422, 502, 504)


@router.post(
    "/{ingestion_id}/refresh/full",
    summary="Load everything again",
    **operation("ingestion_refresh_full", scope="write", ok={202: RefreshAnswer}, problems=PROBLEMS),
)
def full(request: ApiRequest, ingestion_id: Id, body: RefreshBody) -> Status[dict[str, Any]]:
    """Drops the table, forgets the loaded files and loads all of them again. 409 while a run is active, for a table
    that the ingestion did not create or that holds rows it did not write, and while files once loaded are gone from the
    source (unless `accept_loss`). Whatever stops it in the middle: the same call, or the next run, goes on from there.
    """
    return _refresh(request, ingestion_id, body, "full")


@router.post(
    "/{ingestion_id}/refresh/new-only",
    summary="Begin anew with new files",
    **operation("ingestion_refresh_new_only", scope="write", ok={202: RefreshAnswer}, problems=PROBLEMS),
)
def new_only(request: ApiRequest, ingestion_id: Id, body: RefreshBody) -> Status[dict[str, Any]]:
    """Drops the table, keeps the memory and loads only files not seen before. The refusals are those of a full one."""
    return _refresh(request, ingestion_id, body, "new_only")


def _refresh(request: ApiRequest, ingestion_id: str, body: RefreshBody, mode: str) -> Status[dict[str, Any]]:
    ingestion = find.ingestion(request, ingestion_id)
    if body.confirm is False or (body.confirm is None and not body.dry_run):
        raise Invalid([{"loc": "confirm", "msg": "The table is dropped: say confirm: true, or dry_run: true to look."}])
    outcome = ingestion_refresh(
        ingestion=ingestion,
        mode=mode,
        user=request.auth.user,
        auto_run=body.auto_run,
        dry_run=body.dry_run,
        accept_loss=body.accept_loss,
        bounded=CLUSTER,
    )
    return Status(202, outcome.to_json())
