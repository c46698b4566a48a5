"""Swagger UI and ReDoc for people, with the assets that django-ninja brings along: nothing comes from elsewhere."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

#: both write style elements, and ReDoc searches in a worker made from a blob. Scripts stay our own files, and the logo
#: that ReDoc would fetch from its makers stays unfetched.
RELAXED = {"style-src": [UNSAFE_INLINE], "worker-src": [SELF, "blob:"], "img-src": ["blob:"]}


@require_safe
@csp_update(RELAXED)
@ensure_csrf_cookie
def swagger(request: HttpRequest) -> HttpResponse:
    """Tries calls out too: with a token, or as who is signed in (the page carries the CSRF token for that)."""
    return _page(request, "api_docs/swagger.html")


@require_safe
@csp_update(RELAXED)
def redoc(request: HttpRequest) -> HttpResponse:
    return _page(request, "api_docs/redoc.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    return render(request, template, {"openapi_url": reverse("api:openapi-json")})
