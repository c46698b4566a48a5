"""What becomes of an ingestion: activated, paused, resumed, cloned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from ninja import Body, Router, Status

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.changes import ConfigurationChanges, given
from ingestions.api.documented import operation
from ingestions.api.schemas import Id, IngestionAnswer
from ingestions.models import Ingestion
from ingestions.services import present
from ingestions.services.cloning import ingestion_clone
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause, ingestion_resume

router = Router(tags=["Ingestions"])
CHANGED: dict[str, Any] = {
    "scope": "write",
    "ok": {200: IngestionAnswer},
    "problems": (400, 404, 409),
    "by_alias": True,
}


def _step(verb: Callable[..., Ingestion], request: ApiRequest, ingestion_id: str) -> dict[str, Any]:
    return present.ingestion(verb(ingestion=find.ingestion(request, ingestion_id), user=request.auth.user))


@router.post(
    "/{ingestion_id}/activate",
    summary="Activate an ingestion",
    **operation(
        "ingestion_activate", scope="write", ok={200: IngestionAnswer}, problems=(400, 404, 409), by_alias=True
    ),
)
def activate(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    """Its schedule counts from now on. The configuration is checked again; 409 where it is active already."""
    return _step(ingestion_activate, request, ingestion_id)


@router.post(
    "/{ingestion_id}/pause",
    summary="Pause an ingestion",
    **operation("ingestion_pause", **CHANGED),
)
def pause(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    """Nothing starts by itself; a run in hand goes on, and runs can be started by hand. 409 for a draft."""
    return _step(ingestion_pause, request, ingestion_id)


@router.post(
    "/{ingestion_id}/resume",
    summary="Resume an ingestion",
    **operation("ingestion_resume", **CHANGED),
)
def resume(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    """A paused one, or one that the system paused for an error, is active again. 409 for any other."""
    return _step(ingestion_resume, request, ingestion_id)


@router.post(
    "/{ingestion_id}/clone",
    summary="Clone an ingestion",
    **operation(
        "ingestion_clone", scope="write", ok={201: IngestionAnswer}, problems=(400, 404, 413, 422), by_alias=True
    ),
)
def clone(
    request: ApiRequest, ingestion_id: Id, body: Annotated[ConfigurationChanges | None, Body(None)]
) -> Status[dict[str, Any]]:
    """A draft of yours with the same configuration and the parts of the body laid over it. Without a name it is called
    `X copy`, without a table it loads into `<table>_copy`. Credentials go along and are not shown.
    """
    made, warnings = ingestion_clone(
        ingestion=find.ingestion(request, ingestion_id),
        owner=request.auth.user,
        changes=given(body) if body is not None else None,
    )
    return Status(201, present.ingestion(made, warnings=warnings))
