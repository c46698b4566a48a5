"""Versions of tables' schemas, and the changes of them that wait for a person."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpResponse
from ninja import Query, Router

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.schema_schemas import (
    SchemaChangeAnswer,
    SchemaChangeDecided,
    SchemaChangeStatus,
    SchemaVersionAnswer,
)
from ingestions.api.schemas import Id
from ingestions.models import SchemaChange, SchemaVersion
from ingestions.services import present_schema
from ingestions.services.schema_review import change_approve, change_reject

router = Router(tags=["Schema"])
Of = Annotated[Id | None, Query(None, description="Only those of this ingestion.")]


@router.get(
    "/schema-versions",
    summary="List versions of schemas",
    **operation("schema_version_list", scope="read", ok={200: list[SchemaVersionAnswer]}, problems=(404, 422)),
)
def versions(
    request: ApiRequest, response: HttpResponse, limit: Limit, offset: Offset, ingestion_id: Of
) -> list[dict[str, Any]]:
    """When, who or what, which files, which DDL; the newest first."""
    rows = SchemaVersion.objects.filter(ingestion__in=find.ingestions(request, ingestion_id))
    rows = rows.select_related("actor").order_by("-created_at", "-pk")
    return [present_schema.version(row) for row in page(request, response, rows, limit=limit, offset=offset)]


@router.get(
    "/schema-changes",
    summary="List changes of schemas that a person decides about",
    **operation("schema_change_list", scope="read", ok={200: list[SchemaChangeAnswer]}, problems=(404, 422)),
)
def changes(
    request: ApiRequest,
    response: HttpResponse,
    limit: Limit,
    offset: Offset,
    ingestion_id: Of,
    status: Annotated[SchemaChangeStatus | None, Query(None)],
) -> list[dict[str, Any]]:
    """The newest first. Files that bring a `pending` one wait for the decision."""
    rows = SchemaChange.objects.filter(ingestion__in=find.ingestions(request, ingestion_id))
    if status is not None:
        rows = rows.filter(status=status)
    rows = present_schema.changes(rows).order_by("-created_at", "-pk")
    return [present_schema.change(row) for row in page(request, response, rows, limit=limit, offset=offset)]


@router.get(
    "/schema-changes/{change_id}",
    summary="Show a change of a schema",
    **operation("schema_change_show", scope="read", ok={200: SchemaChangeAnswer}, problems=(404,)),
)
def show(request: ApiRequest, change_id: str) -> dict[str, Any]:
    return present_schema.change(find.schema_change(request, change_id))


@router.post(
    "/schema-changes/{change_id}/approve",
    summary="Approve a change of a schema",
    **operation("schema_change_approve", scope="write", ok={200: SchemaChangeDecided}, problems=(404, 409)),
)
def approve(request: ApiRequest, change_id: str) -> dict[str, Any]:
    """The next run alters the table and loads the files that wait. 409 where it is decided already."""
    found = find.schema_change(request, change_id)
    return present_schema.decided(change_approve(change=found, user=request.auth.user))


@router.post(
    "/schema-changes/{change_id}/reject",
    summary="Reject a change of a schema",
    **operation("schema_change_reject", scope="write", ok={200: SchemaChangeDecided}, problems=(404, 409)),
)
def reject(request: ApiRequest, change_id: str) -> dict[str, Any]:
    """The next run loads the files; the values of these fields stand in `_rescued_data`, those of later files too.
    409 where it is decided already.
    """
    found = find.schema_change(request, change_id)
    return present_schema.decided(change_reject(change=found, user=request.auth.user))
