"""What drops tables: refreshing and deleting. The effect is shown first, and the name has to be typed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import AutoloaderError
from ingestions.models import Ingestion
from ingestions.services.ingestions import ingestion_delete
from ingestions.services.refresh import ingestion_delete_with_table, ingestion_refresh
from ingestions.web.access import Request, find_ingestion, signed_in
from ingestions.web.asking import asked
from ingestions.web.heads import head
from ingestions.web.sheets import Fault

CLUSTER = Bounded(what="the cluster", deadline_seconds=30)
MODES = ("full", "new_only")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def refresh(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    given = request.POST if request.method == "POST" else request.GET
    mode = given.get("mode", "")
    context: dict[str, Any] = {**head(ingestion), "mode": mode if mode in MODES else "", "auto_run": True}
    if mode not in MODES:
        return render(request, "ingestions/refresh.html", context)
    if request.method == "POST":
        return _refresh(request, ingestion, mode, context)
    if request.GET.get("look"):
        context |= _impact(ingestion, mode)
    return render(request, f"ingestions/refresh.html{'#impact' if request.htmx else ''}", context)


def _impact(ingestion: Ingestion, mode: str) -> dict[str, Any]:
    """``seen``: what it would do. Files that would be lost are part of it, so that a person can accept that."""

    def look() -> Any:
        return ingestion_refresh(ingestion=ingestion, mode=mode, dry_run=True, accept_loss=True, bounded=CLUSTER)

    return {"looked": True, **asked(look)}


def _refresh(request: Request, ingestion: Ingestion, mode: str, context: dict[str, Any]) -> HttpResponse:
    typed = request.POST.get("table", "").strip()
    accept_loss, auto_run = bool(request.POST.get("accept_loss")), bool(request.POST.get("auto_run"))
    context |= {"typed": typed, "accept_loss": accept_loss, "auto_run": auto_run}
    if typed != ingestion.destination_key:
        wrong = [Fault(f"Type {ingestion.destination_key} to say that its rows may be dropped.", "table")]
        return render(request, "ingestions/refresh.html", {**context, **_impact(ingestion, mode), "faults": wrong})
    try:
        outcome = ingestion_refresh(
            ingestion=ingestion,
            mode=mode,
            user=request.user,
            auto_run=auto_run,
            accept_loss=accept_loss,
            bounded=CLUSTER,
        )
    except AutoloaderError as error:
        told = [Fault(str(error), "accept_loss" if error.code == "files_gone" else "")]
        return render(request, "ingestions/refresh.html", {**context, **_impact(ingestion, mode), "faults": told})
    return render(request, "ingestions/refreshed.html", {**context, "outcome": outcome, "told": outcome.to_json()})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def delete(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    context: dict[str, Any] = {
        **head(ingestion),
        "run_count": ingestion.runs.count(),
        "file_count": ingestion.files.count(),
        "drop": request.POST.get("drop") == "yes",
        "typed": request.POST.get("name", "").strip(),
    }
    if request.method != "POST":
        return render(request, "ingestions/delete.html", context)
    told = _delete(ingestion, context["typed"], drop=context["drop"])
    if told:
        return render(request, "ingestions/delete.html", {**context, "faults": told})
    kept = "and its table are" if context["drop"] else "is"
    messages.success(request, f"{ingestion.name} {kept} deleted.")
    return redirect("web:ingestions")


def _delete(ingestion: Ingestion, typed: str, *, drop: bool) -> list[Fault]:
    if typed != ingestion.name:
        return [Fault(f"Type {ingestion.name} to say that it may be deleted.", "name")]
    try:
        if drop:
            ingestion_delete_with_table(ingestion=ingestion, bounded=CLUSTER)
        else:
            ingestion_delete(ingestion=ingestion)
    except AutoloaderError as error:
        return [Fault(str(error), error.field or "")]
    return []
