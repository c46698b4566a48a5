"""The columns of an ingestion's table: what waits for a person, and every version there was."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from ingestions.models import SchemaChange
from ingestions.services import present_schema
from ingestions.services.schema_review import (
    Decided,
    change_approve,
    change_reject,
    changes_of_table,
    files_waiting,
    versions_of_table,
)
from ingestions.web.access import Request, find_ingestion, one, signed_in
from ingestions.web.heads import head
from ingestions.web.tell import attempt

VERSIONS = 50
FILES = 20


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    changes = present_schema.changes(changes_of_table(ingestion))
    versions = list(versions_of_table(ingestion)[:VERSIONS])
    context = {
        **head(ingestion, "schema"),
        "pending": [(each, files_waiting(each, FILES)) for each in changes.pending()],
        "decided": changes.exclude(status=SchemaChange.Status.PENDING)[:VERSIONS],
        "versions": versions,
        "current": versions[0] if versions else None,
    }
    return render(request, "ingestions/schema.html", context)


@require_POST
@signed_in
def approve(request: Request, pk: int) -> HttpResponse:
    return _decide(request, pk, change_approve, "is approved. The next run changes the table and loads its files.")


@require_POST
@signed_in
def reject(request: Request, pk: int) -> HttpResponse:
    done = "is rejected. The next run loads its files, and keeps these values in _rescued_data."
    return _decide(request, pk, change_reject, done)


def _decide(request: Request, pk: int, verb: Callable[..., Decided], done: str) -> HttpResponse:
    change = one(SchemaChange.objects.visible_to(request.user).select_related("ingestion"), pk=pk)
    attempt(request, lambda: verb(change=change, user=request.user), f"Schema change #{change.number} {done}")
    return redirect(reverse("web:ingestion_schema", args=[change.ingestion_id]))
