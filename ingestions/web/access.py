"""Who may see a page: signed-in people, and of their own things only."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from ingestions.models import Ingestion


class Request(HttpRequest):
    """A request of a signed-in person, as views get it."""

    user: User | AnonymousUser
    htmx: HtmxDetails


View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Sends everybody else to the sign-in page and back. A part of a page that is refreshed takes the whole page there:
    a form in the middle of it would be no use."""

    @wraps(view)
    def wrapped(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "no-store")  # no one else's browser history shows it
            return response
        page = request.htmx.current_url_abs_path if request.htmx else request.get_full_path()
        address = f"{resolve_url('web:signin')}?{urlencode({'next': page or '/'})}"
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)

    wrapped.signed_in = True  # type: ignore[attr-defined]  # a test reads it
    return wrapped


def one(rows: Any, **wanted: Any) -> Any:
    """The only row, or 404: what is somebody else's looks like what is not there."""
    row = rows.filter(**wanted).first()
    if row is None:
        raise Http404
    return row


def find_ingestion(request: Request, pk: uuid.UUID) -> Ingestion:
    """With all that its pages show of it, or 404."""
    rows = Ingestion.objects.visible_to(request.user).select_related("cluster", "credential", "owner")
    found: Ingestion = one(rows, pk=pk)
    return found


def back(request: HttpRequest, otherwise: str) -> str:
    """Where a form said it was, if that is on this site."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else otherwise
