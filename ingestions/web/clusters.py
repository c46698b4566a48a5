"""Clusters, and whether they answer."""

from __future__ import annotations

import uuid

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from autoloader.lib.bounded import Bounded
from clusters.breaker import cluster_try_again
from clusters.models import Cluster
from clusters.services import cluster_test
from ingestions.models import Ingestion
from ingestions.web.access import Request, back, one, signed_in
from ingestions.web.tell import attempt

#: the test itself ends before the request does.
TEST_SECONDS = 50.0
TEST = Bounded(what="the cluster", deadline_seconds=TEST_SECONDS + 10)


@require_safe
@signed_in
def index(request: Request) -> HttpResponse:
    clusters = Cluster.objects.visible_to(request.user).select_related("owner", "breaker")
    mine = Ingestion.objects.visible_to(request.user).order_by()
    used = dict(mine.values_list("cluster_id").annotate(count=Count("id")))
    rows = [(cluster, used.get(cluster.pk, 0)) for cluster in clusters]
    return render(request, "clusters/index.html", {"rows": rows})


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    cluster = one(Cluster.objects.visible_to(request.user).select_related("owner", "breaker"), pk=pk)
    used = Ingestion.objects.visible_to(request.user).filter(cluster=cluster).order_by("name")
    return render(request, "clusters/show.html", {"cluster": cluster, "ingestions": used})


@require_POST
@signed_in
def test(request: Request, pk: uuid.UUID) -> HttpResponse:
    cluster = one(Cluster.objects.visible_to(request.user), pk=pk)
    attempt(
        request,
        lambda: cluster_test(cluster=cluster, budget_seconds=TEST_SECONDS, bounded=TEST),
        f"{cluster.name} was tested.",
    )
    return redirect(back(request, reverse("web:cluster", args=[cluster.pk])))


@require_POST
@signed_in
def try_again(request: Request, pk: uuid.UUID) -> HttpResponse:
    cluster = one(Cluster.objects.visible_to(request.user), pk=pk)
    attempt(request, lambda: cluster_try_again(cluster=cluster), f"Runs go to {cluster.name} again.")
    return redirect(back(request, reverse("web:cluster", args=[cluster.pk])))
