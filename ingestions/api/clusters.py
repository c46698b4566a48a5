"""Clusters: listed and shown."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router

from clusters.models import Cluster
from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.schemas import ClusterAnswer, Id
from ingestions.services import present

router = Router(tags=["Clusters"])


@router.get(
    "",
    summary="List clusters",
    **operation("cluster_list", scope="read", ok={200: list[ClusterAnswer]}, problems=(422,)),
)
def index(request: ApiRequest, response: HttpResponse, limit: Limit, offset: Offset) -> list[dict[str, Any]]:
    """By name: one's own, and those without an owner, which everybody may use."""
    rows = Cluster.objects.visible_to(request.auth.user)
    return [present.cluster(row) for row in page(request, response, rows, limit=limit, offset=offset)]


@router.get(
    "/{cluster_id}",
    summary="Show a cluster",
    **operation("cluster_show", scope="read", ok={200: ClusterAnswer}, problems=(404,)),
)
def show(request: ApiRequest, cluster_id: Id) -> dict[str, Any]:
    return present.cluster(find.cluster(request, cluster_id))
