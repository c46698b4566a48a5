"""The list of ingestions, and one of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from autoloader.lib.errors import AutoloaderError
from ingestions.models import Batch, Ingestion, Run
from ingestions.services import overview, schedules, table
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause, ingestion_resume
from ingestions.services.runs import run_start
from ingestions.web.access import Request, back, one, signed_in
from ingestions.web.asking import CLUSTER
from ingestions.web.heads import head
from ingestions.web.tell import attempt

A_PAGE = 50
RUNS_SHOWN = 8
ROWS_SHOWN = 20


@require_safe
@signed_in
def index(request: Request) -> HttpResponse:
    visible = Ingestion.objects.visible_to(request.user)
    wanted = request.GET.get("q", "").strip().replace("\0", "")
    found = visible.select_related("cluster")
    if wanted:
        found = found.filter(Q(name__icontains=wanted) | Q(destination_key__icontains=wanted))
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    rows = overview.rows(list(page.object_list))
    context = {
        "page": page,
        "rows": rows,
        "q": wanted,
        "live": any(row.active_run for row in rows),
        "totals": overview.totals(visible, timezone.now() - timedelta(days=1)),
        "attention": overview.attention(visible),
    }
    return render(request, f"ingestions/index.html{'#live' if request.htmx else ''}", context)


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = one(Ingestion.objects.visible_to(request.user).select_related("cluster", "credential", "owner"), pk=pk)
    shown = head(ingestion, "overview")
    row = shown["row"]
    context = {
        **shown,
        "states": overview.states(ingestion),
        "runs": row.history[::-1][:RUNS_SHOWN],
        "version": ingestion.schema_versions.filter(destination_key=ingestion.destination_key).first(),
        "snapshot": _snapshot(ingestion),
        "live": row.active_run is not None,
        "schedule": schedules.told(ingestion),
        "next_times": schedules.next_times_told(ingestion),
    }
    return render(request, f"ingestions/show.html{'#live' if request.htmx else ''}", context)


def _snapshot(ingestion: Ingestion) -> int | None:
    batches = Batch.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    return batches.exclude(snapshot_id=None).order_by("-ended_at").values_list("snapshot_id", flat=True).first()


@require_safe
@signed_in
def first_rows(request: Request, pk: uuid.UUID) -> HttpResponse:
    """Rows of the table, read through the cluster; an error is shown in their place."""
    ingestion = one(Ingestion.objects.visible_to(request.user).select_related("cluster", "credential"), pk=pk)
    context: dict[str, object] = {"ingestion": ingestion}
    try:
        rows = CLUSTER.call(lambda: table.table_sample(ingestion=ingestion, limit=ROWS_SHOWN))
        context |= {"columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}
    except AutoloaderError as error:
        context["error"] = error
    return render(request, f"ingestions/rows.html{'#rows' if request.htmx else ''}", context)


@require_POST
@signed_in
def run_now(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = one(Ingestion.objects.visible_to(request.user), pk=pk)
    attempt(
        request,
        lambda: run_start(ingestion=ingestion, trigger=Run.Trigger.MANUAL, user=request.user),
        f"A run of {ingestion.name} is queued.",
    )
    return redirect(back(request, reverse("web:ingestion", args=[ingestion.pk])))


def _step(request: Request, pk: uuid.UUID, verb: Callable[..., Ingestion], done: str) -> HttpResponse:
    ingestion = one(Ingestion.objects.visible_to(request.user), pk=pk)
    attempt(request, lambda: verb(ingestion=ingestion, user=request.user), f"{ingestion.name} {done}")
    return redirect(back(request, reverse("web:ingestion", args=[ingestion.pk])))


@require_POST
@signed_in
def activate(request: Request, pk: uuid.UUID) -> HttpResponse:
    return _step(request, pk, ingestion_activate, "is active. Its schedule, where it has one, starts runs from now on.")


@require_POST
@signed_in
def pause(request: Request, pk: uuid.UUID) -> HttpResponse:
    done = "is paused. Nothing starts by itself; a run in hand goes on, and runs can be started by hand."
    return _step(request, pk, ingestion_pause, done)


@require_POST
@signed_in
def resume(request: Request, pk: uuid.UUID) -> HttpResponse:
    return _step(request, pk, ingestion_resume, "is active again.")
