"""Ingestions as YAML: exported without secrets, imported all or none."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpResponse
from ninja import Query, Router

from autoloader.lib.errors import NotFoundError
from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.parsing import SearchText
from ingestions.api.schemas import ImportAnswer
from ingestions.models import Ingestion
from ingestions.services import present
from ingestions.services.exchange import ingestions_export, ingestions_import

router = Router(tags=["Exchange"])

MEDIA_TYPE = "application/yaml"
ANSWER = {MEDIA_TYPE: {"schema": {"description": "Configurations, each a YAML document."}}}
BODY = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/IngestionConfig"}}}


@router.get(
    "/export",
    summary="Export ingestions as YAML",
    **operation(
        "ingestion_export",
        scope="read",
        ok={200: None},
        problems=(404, 422),
        extra={"responses": {200: {"content": ANSWER}}},
    ),
)
def export(
    request: ApiRequest,
    ids: Annotated[list[SearchText] | None, Query(None, description="Only these; several, or one text with commas.")],
) -> HttpResponse:
    """One document an ingestion, oldest first, without what is as by default. No secret is in it: `***` stands for
    one that is set.
    """
    rows = Ingestion.objects.visible_to(request.auth.user).select_related("cluster", "credential")
    if ids is None:
        found = list(rows.order_by("created_at", "pk"))
    else:
        found = [_one(request, text) for each in ids for text in each.split(",")]
    return HttpResponse(ingestions_export(rows=found, user=request.auth.user), content_type=MEDIA_TYPE)


def _one(request: ApiRequest, text: str) -> Ingestion:
    try:
        return find.ingestion(request, text.strip())
    except NotFoundError as error:
        raise NotFoundError(error.code, f"There is no ingestion {text.strip()!r}.", error.hint, field="ids") from None


@router.post(
    "/import",
    summary="Import ingestions from YAML",
    **operation(
        "ingestion_import",
        scope="write",
        ok={200: ImportAnswer},
        problems=(400, 404, 409, 413, 422),
        extra={"requestBody": {"required": True, "content": BODY}},
    ),
)
def import_(
    request: ApiRequest,
    update: Annotated[
        bool, Query(False, description="Change ingestions that are there by their names; else they are a 409.")
    ],
) -> dict[str, Any]:
    """Each document is the whole configuration of one ingestion. All or none: a fault names its document, line and
    field. `***` keeps a secret in an update; `${NAME}` is not put in here.
    """
    done = ingestions_import(data=request.body, name="the body", owner=request.auth.user, update=update)
    return present.imported(done)
