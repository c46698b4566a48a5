"""Who asks, and how much they may: a personal token with its scope, or a session of the web pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from accounts.models import ApiToken
from accounts.services import scope_allows, token_authenticate
from ingestions.api.problems import Forbidden, Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True)
class Principal:
    """The person behind a request; ``scope`` is what it may do in their name. A session may do everything."""

    user: Any
    scope: str
    token: ApiToken | None = None


class ApiRequest(HttpRequest):
    """What an operation gets: ninja puts the principal there once the authentication let it pass."""

    auth: Principal


def principal_of(request: HttpRequest) -> Principal | None:
    """Who sent this, ``None`` for nobody. A token that is sent has to count: :class:`Unauthorized` where it does not,
    even with a session beside it. Raises :class:`Forbidden` for a session's write without its CSRF token.
    """
    header = request.headers.get("Authorization", "")
    if header:
        return _of_token(header)
    if not request.user.is_authenticated:
        return None
    if request.method not in SAFE_METHODS and check_csrf(request) is not None:
        raise Forbidden(
            "csrf_failed",
            "The session's CSRF token is missing or wrong.",
            "Send the token of the page in the header X-CSRFToken, or use a personal token.",
        )
    return Principal(request.user, "admin")


def _of_token(header: str) -> Principal:
    scheme, _, text = header.partition(" ")
    token = token_authenticate(text=text.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise Unauthorized(
            "invalid_token",
            "The token is not known, has expired or was revoked.",
            "Make a new one with `manage.py token create`, and send it as Authorization: Bearer al_….",
        )
    return Principal(token.user, token.scope, token)


def check_scope(principal: Principal, needed: str) -> Principal:
    if not scope_allows(principal.scope, needed):
        raise Forbidden(
            "scope_too_low",
            f"This needs a token with the scope {needed}; the one sent has the scope {principal.scope}.",
            f"Make a token with the scope {needed}.",
            needed=needed,
        )
    return principal


class Bearer(HttpBearer):
    """``Authorization: Bearer al_…``."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Principal | None:
        return self.authenticate(request, "") if "Authorization" in request.headers else None

    def authenticate(self, request: HttpRequest, token: str) -> Principal | None:
        principal = principal_of(request)
        return check_scope(principal, self.scope) if principal else None


class Session(APIKeyCookie):
    """The session cookie; the CSRF header beside it where something changes."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Principal | None:
        return self.authenticate(request, None)

    def authenticate(self, request: HttpRequest, key: str | None) -> Principal | None:
        return principal_of(request)


def needs(scope: str) -> list[Bearer | Session]:
    """The authentication of an operation: a token with at least ``scope``, or a session."""
    return [Bearer(scope), Session()]
