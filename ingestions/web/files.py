"""The ledger as pages: files of an ingestion or of a run, and one file's passport."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.models.ledger import LedgerQuerySet
from ingestions.services import overview, table
from ingestions.services.files import can_retry, can_skip, file_retry, file_skip
from ingestions.services.ledger import replaced_by
from ingestions.web.access import Request, one, signed_in
from ingestions.web.heads import head
from ingestions.web.tell import attempt

A_PAGE = 100
#: more digits than any id of ours has.
DIGITS = 18
STATES = [state.value for state in State]


@require_safe
@signed_in
def of_ingestion(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = one(Ingestion.objects.visible_to(request.user).select_related("cluster"), pk=pk)
    files = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    return _list(request, files, {**head(ingestion, "files"), "states": overview.states(ingestion)})


@require_safe
@signed_in
def of_run(request: Request, pk: uuid.UUID) -> HttpResponse:
    run = one(Run.objects.visible_to(request.user).select_related("ingestion"), pk=pk)
    return _list(request, LedgerEntry.objects.filter(run=run), {"ingestion": run.ingestion, "run": run})


def _list(request: HttpRequest, files: LedgerQuerySet, context: dict[str, object]) -> HttpResponse:
    """Newest first; pages by the last id seen, so that the millionth costs what the first does."""
    state, text = request.GET.get("state", "").upper(), request.GET.get("q", "").strip().replace("\0", "")
    before, batch = request.GET.get("before", ""), request.GET.get("batch", "") if "run" in context else ""
    if state in STATES:
        files = files.filter(state=state)
    if text:
        files = files.filter(address__icontains=text)
    if _is_number(batch):
        files = files.filter(batch__number=int(batch))
    if _is_number(before):
        files = files.filter(pk__lt=int(before))
    shown = list(files.order_by("-pk")[: A_PAGE + 1])
    more = len(shown) > A_PAGE
    shown = shown[:A_PAGE]
    next_page = urlencode({"state": state, "q": text, "batch": batch, "before": shown[-1].pk}) if more else ""
    filters = {
        "batch": batch if _is_number(batch) else "",
        "state": state,
        "q": text,
        "before": before,
        "next_page": next_page,
        "all_states": STATES,
    }
    return render(request, "files/index.html", {**context, **filters, "files": shown})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


@require_safe
@signed_in
def show(request: Request, pk: int) -> HttpResponse:
    rows = LedgerEntry.objects.visible_to(request.user).select_related("ingestion__cluster", "run", "batch")
    file = one(rows, pk=pk)
    versions = LedgerEntry.objects.filter(
        ingestion_id=file.ingestion_id, destination_key=file.destination_key, address=file.address
    ).order_by("-pk")
    context = {
        "file": file,
        "ingestion": file.ingestion,
        "attempts": list(file.batch.attempts.order_by("number")) if file.batch else [],
        "versions": list(versions[:50]),
        "query": table.query_of_file(file),
        "replaced_by": replaced_by(file=file),
        "can_retry": can_retry(file=file),
        "can_skip": can_skip(file=file),
    }
    return render(request, "files/show.html", context)


@require_POST
@signed_in
def retry(request: Request, pk: int) -> HttpResponse:
    file = one(LedgerEntry.objects.visible_to(request.user).select_related("ingestion"), pk=pk)
    attempt(request, lambda: file_retry(file=file), "The file waits for the next run and is looked at anew.")
    return redirect("web:file", pk=pk)


@require_POST
@signed_in
def skip(request: Request, pk: int) -> HttpResponse:
    file = one(LedgerEntry.objects.visible_to(request.user).select_related("ingestion"), pk=pk)
    attempt(
        request,
        lambda: file_skip(file=file, user=request.user),
        "The file is not loaded. Retry lets it in again.",
    )
    return redirect("web:file", pk=pk)
