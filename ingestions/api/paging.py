"""Pages of a list: the total in ``X-Total-Count``, the neighbours in ``Link`` (RFC 8288)."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import Field

M = TypeVar("M", bound=Model)

Limit = Annotated[int, Query(100, description="Rows of a page.", ge=1, le=1000)]
Offset = Annotated[int, Query(0, description="Rows to pass over.", ge=0, le=1_000_000_000)]
After = Annotated[
    Annotated[int, Field(ge=0, lt=10**18)] | None,
    Query(None, description="Only rows after the one with this id; quicker than an offset, however long the list is."),
]


def page(request: HttpRequest, response: HttpResponse, rows: QuerySet[M], *, limit: int, offset: int) -> list[M]:
    """The rows of one page, its headers set on ``response``."""
    total = rows.count()
    response["X-Total-Count"] = str(total)
    links = []
    if offset + limit < total:
        links.append(_link(request, "next", limit=limit, offset=offset + limit))
    if offset:
        links.append(_link(request, "prev", limit=limit, offset=max(offset - limit, 0)))
    _set_links(response, links)
    return list(rows[offset : offset + limit]) if offset < total else []


def page_after(request: HttpRequest, response: HttpResponse, rows: QuerySet[M], *, limit: int, after: int) -> list[M]:
    """A page by key: rows in the order of their ids, from the first one after ``after``."""
    response["X-Total-Count"] = str(rows.count())
    found = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
    shown = found[:limit]
    if len(found) > limit:
        _set_links(response, [_link(request, "next", limit=limit, offset=None, after=shown[-1].pk)])
    return shown


def _link(request: HttpRequest, rel: str, **changes: Any) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f'<{request.build_absolute_uri(request.path)}?{query.urlencode()}>; rel="{rel}"'


def _set_links(response: HttpResponse, links: list[str]) -> None:
    if links:
        response["Link"] = ", ".join(links)
