"""Runs: all of them, those of an ingestion, and one."""

from __future__ import annotations

import uuid

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from ingestions.models import Ingestion, Run
from ingestions.models.run import RunQuerySet
from ingestions.services import table
from ingestions.services.backfill import range_asked
from ingestions.services.runs import run_cancel, run_retry
from ingestions.web.access import Request, back, one, signed_in
from ingestions.web.heads import head
from ingestions.web.tell import attempt

A_PAGE = 50
ERRORS_SHOWN = 100
BATCHES_SHOWN = 200


@require_safe
@signed_in
def index(request: Request) -> HttpResponse:
    runs = Run.objects.visible_to(request.user).select_related("ingestion").defer("config")
    return _list(request, runs, {"title": "Runs"})


@require_safe
@signed_in
def of_ingestion(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = one(Ingestion.objects.visible_to(request.user).select_related("cluster"), pk=pk)
    return _list(request, Run.objects.filter(ingestion=ingestion).defer("config"), head(ingestion, "runs"))


def _list(request: HttpRequest, runs: RunQuerySet, context: dict[str, object]) -> HttpResponse:
    wanted = request.GET.get("status", "")
    if wanted in Run.Status.values:
        runs = runs.filter(status=wanted)
    page = Paginator(runs, A_PAGE).get_page(request.GET.get("page"))
    live = any(run.is_active for run in page.object_list)
    template = "runs/index.html"
    return render(
        request,
        f"{template}{'#live' if getattr(request, 'htmx', False) else ''}",
        {**context, "page": page, "status": wanted, "statuses": Run.Status, "live": live},
    )


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    run = one(
        Run.objects.visible_to(request.user).select_related("ingestion__cluster", "requested_by", "retry_of"), pk=pk
    )
    errors = run.errors.exclude(file="")
    batches = list(run.batches.prefetch_related("attempts").order_by("-number")[:BATCHES_SHOWN])[::-1]
    context = {
        "run": run,
        "ingestion": run.ingestion,
        "batches": batches,
        "batch_count": run.batches.count(),
        "query": table.query_of_batches(run.ingestion, batches),
        "errors": list(errors.order_by("id")[:ERRORS_SHOWN]),
        "error_count": errors.count(),
        "backfill": asked.words() if (asked := range_asked(run)) is not None else "",
        "live": run.is_active,
    }
    return render(request, f"runs/show.html{'#live' if request.htmx else ''}", context)


@require_POST
@signed_in
def retry(request: Request, pk: uuid.UUID) -> HttpResponse:
    run = one(Run.objects.visible_to(request.user).select_related("ingestion"), pk=pk)
    made: list[Run] = []
    attempt(
        request,
        lambda: made.append(run_retry(run=run, user=request.user)),
        "A new run is queued; the files that failed wait again and are looked at anew.",
    )
    return redirect("web:run", pk=made[0].pk if made else run.pk)


@require_POST
@signed_in
def cancel(request: Request, pk: uuid.UUID) -> HttpResponse:
    run = one(Run.objects.visible_to(request.user), pk=pk)
    attempt(
        request,
        lambda: run_cancel(run=run),
        "The run stops. Batches that are published stay; a batch in hand leaves nothing behind and its files wait.",
    )
    return redirect(back(request, reverse("web:run", args=[run.pk])))
