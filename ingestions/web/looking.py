"""Looking before loading: preview, dry run, cost. Each page comes at once and asks for its answer by itself."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from autoloader.lib.errors import AutoloaderError
from ingestions.models import Ingestion
from ingestions.services import looking
from ingestions.web.access import Request, find_ingestion, signed_in
from ingestions.web.asking import CLUSTER, STORE, asked
from ingestions.web.heads import head
from ingestions.web.sheets import faults, one_document


@require_safe
@signed_in
def preview(request: Request, pk: uuid.UUID) -> HttpResponse:
    """The first files as they would be loaded."""
    ingestion = find_ingestion(request, pk)
    context = _frame(ingestion)
    if request.GET.get("look"):
        context |= _with_rows(asked(lambda: looking.preview(subject=looking.subject_of(ingestion)), CLUSTER))
        context["looked"] = True
    return render(request, "looking/seen.html" if request.htmx else "looking/preview.html", context)


@require_safe
@signed_in
def dry_run(request: Request, pk: uuid.UUID) -> HttpResponse:
    """What the next run would do."""
    ingestion = find_ingestion(request, pk)
    context = _frame(ingestion)
    if request.GET.get("look"):
        context |= asked(lambda: looking.dry_run(ingestion=ingestion, bounded=CLUSTER))
        context["looked"] = True
    return render(request, f"looking/dry_run.html{'#seen' if request.htmx else ''}", context)


@require_safe
@signed_in
def cost(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    context = _frame(ingestion)
    context |= asked(lambda: looking.estimate_cost(subject=looking.subject_of(ingestion), bounded=STORE))
    return render(request, f"looking/cost.html{'#cost' if request.htmx else ''}", context)


def preview_of_text(text: str, *, user: Any, ingestion: Ingestion | None = None) -> dict[str, Any]:
    """Context of a preview of a configuration that is being written."""
    document = None
    try:
        document = one_document(text)
        subject = looking.subject_posted(body=document.body, user=user, ingestion=ingestion)
    except AutoloaderError as error:
        return {"looked": True, "faults": faults(error, document)}
    return {"looked": True, **_with_rows(asked(lambda: looking.preview(subject=subject), CLUSTER))}


def _frame(ingestion: Ingestion) -> dict[str, Any]:
    return {**head(ingestion), "again": "?"}


def _with_rows(context: dict[str, Any]) -> dict[str, Any]:
    """The sample as a table: names of its columns, and rows of values."""
    if "seen" not in context:
        return context
    rows = [json.loads(row) for row in context["seen"]["sample_data"]]
    return {**context, "columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}
