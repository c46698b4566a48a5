"""Personal access tokens: listed, made, revoked."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router, Status

from accounts.models import ApiToken
from accounts.services import token_create, token_revoke
from ingestions.api import find
from ingestions.api.access_schemas import TokenAnswer, TokenBody, TokenCreated
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.services import present

router = Router(tags=["Tokens"])


@router.get(
    "", summary="List tokens", **operation("token_list", scope="admin", ok={200: list[TokenAnswer]}, problems=(422,))
)
def index(request: ApiRequest, response: HttpResponse, limit: Limit, offset: Offset) -> list[dict[str, Any]]:
    """One's own, newest first; everybody's for a superuser. Never their texts."""
    rows = ApiToken.objects.visible_to(request.auth.user).select_related("user")
    return [present.token(row) for row in page(request, response, rows, limit=limit, offset=offset)]


@router.post(
    "",
    summary="Make a token",
    **operation("token_create", scope="admin", ok={201: TokenCreated}, problems=(400, 413, 422)),
)
def create(request: ApiRequest, body: TokenBody) -> Status[dict[str, Any]]:
    """For oneself. The answer is the only place where its text ever stands."""
    row, text = token_create(user=request.auth.user, name=body.name, scope=body.scope, expires_at=body.expires_at)
    return Status(201, {**present.token(row), "token": text})


@router.delete(
    "/{token_id}", summary="Revoke a token", **operation("token_revoke", scope="admin", ok={204: None}, problems=(404,))
)
def revoke(request: ApiRequest, token_id: str) -> Status[None]:
    """It counts no more, from now on. The list keeps it, with the time."""
    token_revoke(token=find.token(request, token_id))
    return Status(204, None)
