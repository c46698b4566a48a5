"""Personal access tokens: made, recognised, revoked."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken
from autoloader.lib.errors import ConfigError

#: each scope includes those before it.
SCOPES = ("read", "run", "write", "admin")
PREFIX = "al_"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def token_create(*, user: Any, name: str, scope: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """The token's row and its text; the text is never to be had again."""
    if scope not in SCOPES:
        raise ConfigError("unknown_scope", f"There is no scope {scope!r}.", f"Use one of {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise ConfigError("expired", "The expiry lies in the past.", "Give a later one, or none.")
    text = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user, name=name or "token", prefix=text[:8], digest=_digest(text), scope=scope, expires_at=expires_at
    )
    return row, text


def token_revoke(*, token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def token_authenticate(*, text: str) -> ApiToken | None:
    """The usable token with this text. ``last_used_at`` is written at most once a minute."""
    if not text.startswith(PREFIX):
        return None
    token = ApiToken.objects.usable().select_related("user").filter(digest=_digest(text)).first()
    if token is None:
        return None
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(minutes=1))
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def scope_allows(held: str, needed: str) -> bool:
    return SCOPES.index(held) >= SCOPES.index(needed)
