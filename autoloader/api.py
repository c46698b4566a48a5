"""The one API: every router of ``ingestions.api`` under ``/api/v1``, its errors and its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from ingestions.api import (
    alerts,
    backfill,
    clusters,
    completeness,
    exchange,
    files,
    ingestions,
    lifecycle,
    looking,
    problems,
    quarantine,
    refresh,
    runs,
    schema,
    tokens,
)
from ingestions.api.parsing import StrictParser

DESCRIPTION = """\
Everything the pages can do. Errors are `application/problem+json` (RFC 9457) with a stable `code`, and a `hint` that
says what to do next. Lists tell their total in `X-Total-Count` and their neighbours in `Link`. Each operation names the
token scope it needs in `x-scope`; scopes are read < run < write < admin, and each includes those before it.
"""
PROBLEM_REF = "#/components/schemas/Problem"


class AutoloaderAPI(NinjaAPI):
    """ninja with problem documents wherever an answer is an error."""

    def on_exception(self, request: HttpRequest, exc: Exception | type[Exception]) -> HttpResponse:
        return problems.of_exception(exc if isinstance(exc, Exception) else exc())

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = problems.with_problems(pattern.callback)
        return patterns, app_name, namespace

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        for operation in _operations(document):
            _complete(operation)
        return document


def _operations(document: OpenAPISchema) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _complete(operation: dict[str, Any]) -> None:
    """What ninja cannot say by itself: the media type of problems, the headers of lists, the scope in words."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref") == PROBLEM_REF:
            content[problems.MEDIA_TYPE] = content.pop("application/json")
        elif status == 200 and schema.get("type") == "array":
            response["headers"] = {
                "X-Total-Count": {"description": "Rows of all pages.", "schema": {"type": "integer"}},
                "Link": {"description": "The next and the previous page (RFC 8288).", "schema": {"type": "string"}},
            }
    if "x-scope" in operation:
        scope = f"Needs the scope `{operation['x-scope']}`."
        operation["description"] = f"{operation.get('description', '')}\n\n{scope}".strip()


api = AutoloaderAPI(
    title="Autoloader",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,  # /docs and /redoc have views of their own
    parser=StrictParser(),
)
api.add_router("/ingestions", looking.router)  # before paths with an id: a word may stand in its place
api.add_router("/ingestions", ingestions.router)
api.add_router("/ingestions", lifecycle.router)
api.add_router("/ingestions", refresh.router)
api.add_router("/ingestions", backfill.router)
api.add_router("/ingestions", completeness.router)
api.add_router("/ingestions", runs.router)
api.add_router("", files.router)
api.add_router("", quarantine.router)
api.add_router("", schema.router)
api.add_router("", exchange.router)
api.add_router("", alerts.router)
api.add_router("/clusters", clusters.router)
api.add_router("/tokens", tokens.router)
