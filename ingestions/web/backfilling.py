"""Asking for a range of the source."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from autoloader.lib.errors import AutoloaderError, ConfigError
from ingestions.services.backfill import backfill_start
from ingestions.web.access import Request, find_ingestion, signed_in
from ingestions.web.heads import head
from ingestions.web.sheets import Fault

FIELDS = ("modified_after", "modified_before", "prefix")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def backfill(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    given = {field: request.POST.get(field, "").strip().replace("\0", "") for field in FIELDS}
    context: dict[str, Any] = {**head(ingestion), "given": given}
    if request.method != "POST":
        return render(request, "ingestions/backfill.html", context)
    try:
        run = backfill_start(
            ingestion=ingestion,
            modified_after=_instant(given["modified_after"], "modified_after"),
            modified_before=_instant(given["modified_before"], "modified_before"),
            prefix=given["prefix"] or None,
            user=request.user,
        )
    except AutoloaderError as error:
        faults = [Fault(str(error), error.field or "")]
        return render(request, "ingestions/backfill.html", {**context, "faults": faults})
    messages.success(request, f"A backfill of {ingestion.name} is queued.")
    return redirect("web:run", pk=run.pk)


def _instant(text: str, field: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigError("bad_time", f"“{text}” is no time.", "Write 2025-01-31T06:00.", field=field) from None
