"""Every error of the REST face, as RFC 9457 has it. No stack trace, no secret and no posted value stands in one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from functools import singledispatch, wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import AuthenticationError, HttpError, ValidationError

from autoloader.lib.database import AWAY, database_away
from autoloader.lib.errors import AutoloaderError, ConfigError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="autoloader"'
RETRY_AFTER_SECONDS = 5

Fault = dict[str, str]
View = Callable[..., HttpResponseBase]


class Unauthorized(ConfigError):
    """Neither a token nor a session, or a token that does not count (any more)."""

    status = 401


class Forbidden(ConfigError):
    """It is known who asks, and they may not. ``needed`` is the token scope that would do, where it is about one."""

    status = 403

    def __init__(self, code: str, message: str, hint: str = "", *, needed: str = "") -> None:
        super().__init__(code, message, hint)
        self.needed = needed


class BadBody(ConfigError):
    """The body is not the JSON that it claims to be."""


class Invalid(ConfigError):
    """It does not validate: ``errors`` has a ``{"loc", "msg"}`` for each fault."""

    status = 422

    def __init__(self, errors: Sequence[Fault]) -> None:
        first = errors[0]
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            "invalid_request",
            f"The request is not valid: {first['loc']}: {first['msg']}{more}",
            "Correct the fields named; nothing was changed.",
        )
        self.errors = list(errors)


def problem(status: int, code: str, detail: str, hint: str = "", **more: Any) -> JsonResponse:
    """One problem document. ``more`` are members beyond RFC 9457's; those that are ``None`` are left out."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        **{name: value for name, value in more.items() if value is not None},
    }
    response = JsonResponse(document, status=status, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-store"
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = CHALLENGE
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def of_error(error: AutoloaderError) -> JsonResponse:
    """The answer to an error of the product: its class knows the status."""
    response = problem(
        error.status,
        error.code,
        error.message,
        error.hint,
        field=error.field,
        errors=getattr(error, "errors", None),
        needed_scope=getattr(error, "needed", None) or None,
        run_id=getattr(error, "run_id", None),
        config_version=getattr(error, "config_version", None),
    )
    if error.status == HTTPStatus.UNAUTHORIZED and error.code == "invalid_token":
        response["WWW-Authenticate"] = f'{CHALLENGE}, error="invalid_token"'
    if wait := getattr(error, "retry_after_seconds", None):
        response["Retry-After"] = str(wait)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("request failed", extra={"code": error.code, "status": error.status, "reason": error.message})
    return response


@csrf_exempt  # a 404 has nothing to forge
def unknown_path(request: HttpRequest, rest: str = "") -> JsonResponse:
    """What lies under ``/api`` and is nothing."""
    if rest.endswith("/"):
        hint = "Paths have no slash at their end. They are listed in /api/v1/openapi.json."
    else:
        hint = "The paths there are stand in /api/v1/openapi.json."
    return problem(404, "unknown_path", "There is nothing at this path.", hint)


@singledispatch
def of_exception(error: Exception) -> JsonResponse:
    """The answer to anything that went wrong in an operation. What no case below knows is a fault of ours: its trace
    goes to the log, under the id that the answer carries.
    """
    error_id = uuid.uuid4().hex
    logger.error("unexpected error in the REST interface", exc_info=error, extra={"error_id": error_id})
    return problem(
        500,
        "internal",
        "Something went wrong that is not the request's fault.",
        "Look for the error id in the log of the web process.",
        error_id=error_id,
    )


of_exception.register(AutoloaderError, of_error)


@of_exception.register
def _(error: ValidationError) -> JsonResponse:
    return of_error(Invalid([{"loc": _loc(fault["loc"]), "msg": str(fault["msg"])} for fault in error.errors]))


def _loc(parts: Sequence[str | int]) -> str:
    """``source.path``: without ninja's own first parts, the kind of parameter and (for a body) its name in Python."""
    kind, *path = parts
    if kind == "body":
        path = path[1:]
    return ".".join(str(part) for part in path) or str(kind)


@of_exception.register
def _(error: HttpError) -> JsonResponse:
    if isinstance(error.__cause__, AutoloaderError):  # ninja wraps whatever the parser raises
        return of_error(error.__cause__)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, phrase.lower().replace(" ", "_"), f"{phrase}.")


@of_exception.register
def _(error: AuthenticationError) -> JsonResponse:
    return problem(
        401,
        "unauthorized",
        "This needs a token or a session.",
        "Send the header Authorization: Bearer al_…; make a token with `manage.py token create`.",
    )


@of_exception.register
def _(error: Http404) -> JsonResponse:
    return problem(404, "not_found", "There is nothing at this path.")


@of_exception.register
def _(error: RequestDataTooBig) -> JsonResponse:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return problem(413, "body_too_large", "The body is too large.", f"Send at most {limit} bytes.")


@of_exception.register(SuspiciousOperation)
@of_exception.register(UnreadablePostError)
def _(error: Exception) -> JsonResponse:
    return problem(400, "unreadable_request", "The request could not be read.", "Send it again, whole.")


def _database_away(error: Exception) -> JsonResponse:
    logger.error("the database did not answer", extra={"reason": database_away(error).message})
    return problem(503, "database_unavailable", "The database did not answer.", "Try again in a few seconds.")


for kind in AWAY:
    of_exception.register(kind, _database_away)


def with_problems(view: View) -> View:
    """For each path of the API: what ninja answers outside of an operation becomes a problem too, and no answer is
    kept by a cache on the way.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            return unknown_path(request)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED and response["Content-Type"] != MEDIA_TYPE:
            allow = response["Allow"]
            response = problem(405, "method_not_allowed", f"{request.method} is not possible here.", f"Use {allow}.")
            response["Allow"] = allow
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return wrapped
