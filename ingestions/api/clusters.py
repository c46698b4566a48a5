"""Clusters: made, listed, shown, changed, deleted, tested."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router, Status

from autoloader.lib.bounded import Bounded
from clusters.models import Cluster
from clusters.services import cluster_create, cluster_delete, cluster_test, cluster_update
from ingestions.api import find
from ingestions.api.access_schemas import ClusterAnswer, ClusterBody, ClusterChanges, ConnectionTest
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.schemas import Id
from ingestions.services import present

router = Router(tags=["Clusters"])

#: the test itself ends before the request does.
TEST_SECONDS = 25.0
TEST = Bounded(what="the cluster", deadline_seconds=30)


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


@router.post(
    "",
    summary="Add a cluster",
    **operation("cluster_create", scope="write", ok={201: ClusterAnswer}, problems=(400, 413, 422)),
)
def create(request: ApiRequest, body: ClusterBody) -> Status[Any]:
    """It is yours. Nothing is asked of it yet: test its connection next."""
    return Status(201, present.cluster(cluster_create(owner=request.auth.user, **_values(body))))


@router.put(
    "/{cluster_id}",
    summary="Change a cluster",
    **operation("cluster_update", scope="write", ok={200: ClusterAnswer}, problems=(400, 403, 404, 413, 422)),
)
def update(request: ApiRequest, cluster_id: Id, body: ClusterChanges) -> dict[str, Any]:
    """Fields that are left out keep their values. Another host or port needs the token again, if one is set."""
    cluster = find.own_cluster(request, cluster_id)
    return present.cluster(cluster_update(cluster=cluster, **_values(body)))


@router.delete(
    "/{cluster_id}",
    summary="Delete a cluster",
    **operation("cluster_delete", scope="write", ok={204: None}, problems=(403, 404, 409)),
)
def delete(request: ApiRequest, cluster_id: Id) -> Status[Any]:
    """Refused while ingestions use it."""
    cluster_delete(cluster=find.own_cluster(request, cluster_id))
    return Status(204, None)


@router.post(
    "/{cluster_id}/test-connection",
    summary="Test the connection to a cluster",
    **operation("cluster_test", scope="run", ok={200: ConnectionTest}, problems=(404, 504)),
)
def test_connection(request: ApiRequest, cluster_id: Id) -> dict[str, Any]:
    """Step by step, each with a verdict and a remedy; a test that finds a fault is answered with 200 as well."""
    cluster = find.cluster(request, cluster_id)
    return cluster_test(cluster=cluster, budget_seconds=TEST_SECONDS, bounded=TEST).to_json()


def _values(body: ClusterChanges) -> dict[str, Any]:
    """The fields that were given, as the service names them."""
    values = body.model_dump(exclude_unset=True)
    pricing = values.pop("pricing", None) or {}
    return values | {f"price_{name}": value for name, value in pricing.items() if value is not None}
