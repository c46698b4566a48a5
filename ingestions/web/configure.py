"""Settings: read, edited as YAML with the effects told first, cloned, exported."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from autoloader.lib.errors import AutoloaderError
from ingestions.models import Ingestion
from ingestions.services import configuration, reading
from ingestions.services.cloning import ingestion_clone
from ingestions.services.editing import StaleEdit, ingestion_update
from ingestions.services.exchange import ingestions_export
from ingestions.services.feed_text import FeedDocument
from ingestions.services.history import edits_since
from ingestions.web.access import Request, find_ingestion, signed_in
from ingestions.web.heads import head
from ingestions.web.looking import preview_of_text
from ingestions.web.sheets import faults, one_document, posted_text

EDITS_SHOWN = 10
MEDIA_TYPE = "application/yaml"


@require_safe
@signed_in
def settings(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    config = ingestion.configuration()
    context = {
        **head(ingestion, "settings"),
        "groups": reading.groups(config),
        "warnings": configuration.inactive(config),
        "edits": edits_since(ingestion=ingestion, version=0)[::-1][:EDITS_SHOWN],
    }
    return render(request, "ingestions/settings.html", context)


# ---- editing


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def edit(request: Request, pk: uuid.UUID) -> HttpResponse:
    """Type, see the effects, save. The version that the text was made over goes along: nobody's edit is lost."""
    ingestion = find_ingestion(request, pk)
    if request.method != "POST":
        return _editor(request, ingestion, _as_text(ingestion, request))
    text, step = posted_text(request), request.POST.get("step", "")
    if step == "edit":
        return _editor(request, ingestion, text)
    if step == "preview":
        seen = preview_of_text(text, user=request.user, ingestion=ingestion)
        if request.htmx:
            return render(request, "looking/seen.html", seen)
        return _editor(request, ingestion, text, **seen)
    document: FeedDocument | None = None
    try:
        document = one_document(text)
        edited = ingestion_update(
            ingestion=ingestion,
            changes={**document.body, "config_version": _version(request)},
            user=request.user,
            replace=True,
            check_only=step != "save",
        )
    except StaleEdit as error:
        return _stale(request, find_ingestion(request, pk), text, error)
    except AutoloaderError as error:
        return _editor(request, ingestion, text, faults=faults(error, document))
    if step == "save":
        messages.success(request, f"The settings of {edited.ingestion.name} are saved.")
        return redirect("web:ingestion_settings", pk=pk)
    context = {
        "ingestion": ingestion,
        "text": text,
        "version": _version(request),
        "edited": edited,
        "differences": reading.differences(ingestion.config, edited.ingestion.config),
    }
    return render(request, "ingestions/effects.html", context)


def _as_text(ingestion: Ingestion, request: Request) -> str:
    return ingestions_export(rows=[ingestion], user=request.user).removeprefix("---\n")


def _version(request: HttpRequest) -> int:
    """0, which no ingestion ever has, where the form was tampered with."""
    given = request.POST.get("config_version", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0


def _editor(request: Request, ingestion: Ingestion, text: str, **more: Any) -> HttpResponse:
    version = _version(request) if request.method == "POST" else ingestion.config_version
    return render(request, "ingestions/edit.html", {"ingestion": ingestion, "text": text, "version": version, **more})


def _stale(request: Request, ingestion: Ingestion, text: str, error: StaleEdit) -> HttpResponse:
    context = {
        "ingestion": ingestion,
        "text": text,
        "sides": reading.beside(_as_text(ingestion, request), text),
        "version": ingestion.config_version,
        "made_over": _version(request),
        "error": error,
    }
    return render(request, "ingestions/stale.html", context)


# ---- cloning


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def clone(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    table = str(ingestion.config["destination"]["table"])
    typed = {"name": f"{ingestion.name[:190]} copy", "table": f"{table[:245]}_copy"}
    told = []
    if request.method == "POST":
        typed = {key: request.POST.get(key, "").strip() for key in typed}
        try:
            made, warnings = ingestion_clone(
                ingestion=ingestion,
                owner=request.user,
                changes={"name": typed["name"], "destination": {"table": typed["table"]}},
            )
        except AutoloaderError as error:
            told = faults(error)
        else:
            messages.success(request, f"{made.name} is made as a draft. Look at it, then run it.")
            for warning in warnings:
                messages.warning(request, f"{warning}.")
            return redirect("web:ingestion_settings", pk=made.pk)
    fields = {"name": "name", "destination.table": "table"}
    wrong = {fields[fault.field]: fault.message for fault in told if fault.field in fields}
    context = {"ingestion": ingestion, "typed": typed, "faults": told, "wrong": wrong}
    return render(request, "ingestions/clone.html", context)


# ---- exporting


@require_safe
@signed_in
def export(request: Request, pk: uuid.UUID) -> HttpResponse:
    return _download([find_ingestion(request, pk)], request)


@require_safe
@signed_in
def export_all(request: Request) -> HttpResponse:
    rows = Ingestion.objects.visible_to(request.user).select_related("cluster", "credential")
    return _download(list(rows.order_by("created_at", "pk")), request)


def _download(rows: list[Ingestion], request: Request) -> HttpResponse:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", rows[0].name).strip("-.") if len(rows) == 1 else "ingestions"
    answer = HttpResponse(ingestions_export(rows=rows, user=request.user), content_type=MEDIA_TYPE)
    answer["Content-Disposition"] = f'attachment; filename="{name or "ingestion"}.yaml"'
    return answer
