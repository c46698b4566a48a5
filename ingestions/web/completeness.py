"""Every object in the bucket by state and reason, counted while the page waits."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ingestions.models import Census
from ingestions.services.census import census, seconds
from ingestions.services.discovering import outlook
from ingestions.web.access import Request, find_ingestion, signed_in
from ingestions.web.asking import asked
from ingestions.web.heads import head


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    """The page comes at once and asks for the count by itself; the count's progress is shown until it has ended."""
    ingestion = find_ingestion(request, pk)
    context = {**head(ingestion, "completeness"), "outlook": outlook(ingestion)}
    if request.GET.get("look"):
        context |= asked(lambda: census(ingestion=ingestion, anew=request.GET["look"] == "anew"))
        context["looked"] = True
        found = context.get("seen")
        if isinstance(found, Census):
            context["counting"] = found.status == Census.Status.COUNTING
            context["seconds"] = seconds(found, timezone.now())
    return render(request, f"ingestions/completeness.html{'#count' if request.htmx else ''}", context)
