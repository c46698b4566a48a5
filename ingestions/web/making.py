"""New ingestions: one from a text, or several from a file."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from autoloader.lib.errors import AutoloaderError
from clusters.models import Cluster
from ingestions.services.exchange import ingestions_import
from ingestions.services.feed_text import LONGEST_BYTES, FeedDocument, write_document
from ingestions.services.ingestions import ingestion_create
from ingestions.web.access import Request, signed_in
from ingestions.web.looking import preview_of_text
from ingestions.web.sheets import CALLED, Fault, faults, one_document, posted_text


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new(request: Request) -> HttpResponse:
    if request.method != "POST":
        return _new(request, _example(request.user))
    text = posted_text(request)
    if request.POST.get("step") == "preview":
        seen = preview_of_text(text, user=request.user)
        return render(request, "looking/seen.html", seen) if request.htmx else _new(request, text, **seen)
    document: FeedDocument | None = None
    try:
        document = one_document(text)
        made, warnings = ingestion_create(owner=request.user, config=document.body)
    except AutoloaderError as error:
        return _new(request, text, faults=faults(error, document))
    messages.success(request, f"{made.name} is made as a draft. “Run now” lists the source and loads every file.")
    for warning in warnings:
        messages.warning(request, f"{warning}.")
    return redirect("web:ingestion", pk=made.pk)


def _new(request: Request, text: str, **more: Any) -> HttpResponse:
    clusters = Cluster.objects.visible_to(request.user).order_by("name")
    return render(request, "ingestions/new.html", {"text": text, "clusters": clusters, **more})


def _example(user: Any) -> str:
    """A text that is right as it stands, on the first cluster there is."""
    clusters = list(Cluster.objects.visible_to(user).order_by("name")[:20])
    cluster = next((each for each in clusters if each.is_embedded), clusters[0] if clusters else None)
    local = cluster is None or cluster.is_embedded
    folder = f"{settings.LOCAL_ROOTS[0]}/orders" if settings.LOCAL_ROOTS else "/path/to/the/files"
    document = {
        "name": "Orders",
        "cluster_id": cluster.name if cluster else "Embedded Spark",
        "source": {
            "type": "local" if local else "s3",
            "path": folder if local else "s3://my-bucket/orders/",
            "file_pattern": "*.csv*",
        },
        "format": {"type": "csv"},
        "destination": {
            "catalog": (cluster.default_catalog if cluster else "") or "local",
            "database": "shop",
            "table": "orders",
            "write_mode": "append",
        },
    }
    return write_document(document).removeprefix("---\n")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def import_(request: Request) -> HttpResponse:
    """Several documents at once, all or none: looked at first, then made."""
    if request.method != "POST":
        return render(request, "ingestions/import.html", {"update": False})
    update = bool(request.POST.get("update"))
    text, unreadable = _given(request)
    context: dict[str, Any] = {"text": text, "update": update}
    if unreadable or request.POST.get("step") == "edit":
        return render(request, "ingestions/import.html", {**context, "faults": unreadable})
    check_only = request.POST.get("step") != "import"
    try:
        done = ingestions_import(
            data=text.encode("utf-8", "surrogatepass"),
            name=CALLED,
            owner=request.user,
            update=update,
            check_only=check_only,
        )
    except AutoloaderError as error:
        return render(request, "ingestions/import.html", {**context, "faults": faults(error)})
    if check_only:
        return render(request, "ingestions/import_effects.html", {**context, "documents": done})
    messages.success(request, f"{len(done)} ingestion{'' if len(done) == 1 else 's'} imported.")
    for each in done:
        for warning in each.warnings:
            messages.warning(request, f"{each.ingestion.name}: {warning}.")
    return redirect("web:ingestions")


def _given(request: Request) -> tuple[str, list[Fault]]:
    """The file that was chosen, else what was typed; and why it cannot be read."""
    file = request.FILES.get("file")
    if file is None:
        return posted_text(request), []
    if (file.size or 0) > LONGEST_BYTES:
        return "", [Fault(f"{file.name} is larger than {LONGEST_BYTES:,} bytes. Is it the right file?", "file")]
    data = file.read()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", [Fault(f"{file.name}, line {line}: not UTF-8. Save the file as UTF-8.", "file")]
