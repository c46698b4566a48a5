"""How a page says what came of a click."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest

from autoloader.lib.errors import AutoloaderError


def attempt(request: HttpRequest, action: Callable[[], object], done: str) -> bool:
    """Does it; says ``done``, or what happened and what to do. Faults nobody expected are raised."""
    try:
        action()
    except AutoloaderError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
        return False
    messages.success(request, done)
    return True
