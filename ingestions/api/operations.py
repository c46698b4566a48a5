"""What an operator's tools ask for, at the root of the site: health and metrics."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from autoloader.lib.database import DatabaseFault
from autoloader.lib.errors import AutoloaderError
from ingestions.api.auth import principal_of
from ingestions.api.problems import Forbidden, Unauthorized, of_error, problem
from ingestions.services.health import health
from ingestions.services.metrics import metrics


@require_safe
@never_cache
def health_view(request: HttpRequest) -> HttpResponse:
    """200 with ``status`` ``ok`` or ``degraded``; 503 only without a database or with pending migrations. For anyone:
    it holds counts and ages, no names.
    """
    found = health()
    return JsonResponse(found.to_json(), status=200 if found.ready else 503)


@require_safe
@never_cache
def metrics_view(request: HttpRequest) -> HttpResponse:
    """The numbers go across all owners, so they are a superuser's: by session, or by a token of any scope (a scraper
    needs no more than ``read``). ``AUTOLOADER_METRICS_PUBLIC`` opens them to everybody who reaches the port.
    """
    try:
        _check_allowed(request)
        return HttpResponse(metrics(), content_type=CONTENT_TYPE_LATEST)
    except AutoloaderError as error:
        return of_error(error)
    except DatabaseFault:
        return problem(503, "database_unavailable", "The database did not answer.", "Try again in a few seconds.")


def _check_allowed(request: HttpRequest) -> None:
    if settings.METRICS_PUBLIC:
        return
    principal = principal_of(request)
    if principal is None:
        raise Unauthorized(
            "unauthorized",
            "The metrics need a superuser's token or session.",
            "Send Authorization: Bearer al_…, or set AUTOLOADER_METRICS_PUBLIC=true on a network you trust.",
        )
    if not principal.user.is_superuser:
        raise Forbidden(
            "superuser_needed",
            "The metrics count what belongs to all owners: only a superuser may read them.",
            "Use a token of a superuser; the scope read is enough.",
        )
