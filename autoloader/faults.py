"""What is answered where a request failed by a fault: of the database, or of ours."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import server_error

from autoloader.lib.database import AWAY
from ingestions.api.problems import RETRY_AFTER_SECONDS, of_exception


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler of what nobody caught, wherever it was raised: in a view, or before and after it."""
    error = sys.exc_info()[1]
    if request.path.startswith("/api/"):
        return of_exception(error if isinstance(error, Exception) else RuntimeError("unknown"))
    if not isinstance(error, AWAY):
        return server_error(request)
    response = render(None, "503.html", status=503)  # without a request: who asks stands in the database
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    return response
