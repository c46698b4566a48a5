from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken
from accounts.services import token_create
from autoloader.api import api
from tests.api.support import check_problem
from tests.cast import Api, caller

NO_ID = "00000000-0000-4000-8000-000000000000"


def operations() -> list[tuple[str, str, str]]:
    """Method, path with ids filled in, needed scope: everything the OpenAPI document lists."""
    document = api.get_openapi_schema(path_prefix="/")
    found = []
    for path, methods in document["paths"].items():
        filled = path
        for name in ("ingestion_id", "run_id", "cluster_id"):
            filled = filled.replace(f"{{{name}}}", NO_ID)
        filled = filled.replace("{file_id}", "1").replace("{token_id}", "1")
        found += [(method.upper(), filled, operation["x-scope"]) for method, operation in methods.items()]
    return found


EVERY = pytest.mark.parametrize(("method", "path", "scope"), operations())


@EVERY
def test_every_operation_asks_for_a_token(db: None, anonymous: Api, method: str, path: str, scope: str) -> None:
    response = anonymous.call(method, path)
    check_problem(response, 401, "unauthorized")
    assert response["WWW-Authenticate"] == 'Bearer realm="autoloader"'


@EVERY
def test_every_operation_refuses_a_scope_below_its_own(owner: User, method: str, path: str, scope: str) -> None:
    scopes = ["read", "run", "write", "admin"]
    for lower in scopes[: scopes.index(scope)]:
        body = check_problem(caller(owner, lower).call(method, path), 403, "scope_too_low")
        assert body["needed_scope"] == scope
        assert scope in body["detail"]


@pytest.mark.parametrize("header", ["Bearer al_nonsense", "Bearer nonsense", "Bearer ", "Basic b3duZXI6", "al_x"])
def test_a_token_that_is_none_is_refused(db: None, anonymous: Api, header: str) -> None:
    response = anonymous.call("GET", "/ingestions", Authorization=header)
    body = check_problem(response, 401, "invalid_token")
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
    assert "nonsense" not in str(body)


def test_an_expired_token_is_refused(owner: User) -> None:
    row, text = token_create(user=owner, name="", scope="admin", expires_at=timezone.now() + timedelta(hours=1))
    assert Api(text).get("/ingestions").status_code == 200
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    check_problem(Api(text).get("/ingestions"), 401, "invalid_token")


def test_a_token_of_a_person_who_left_is_refused(owner: User, as_owner: Api) -> None:
    owner.is_active = False
    owner.save()
    check_problem(as_owner.get("/ingestions"), 401, "invalid_token")


def test_the_scheme_of_the_header_may_be_written_in_any_case(owner: User, anonymous: Api) -> None:
    text = token_create(user=owner, name="", scope="read")[1]
    assert anonymous.call("GET", "/ingestions", Authorization=f"bEARER {text}").status_code == 200


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    return client


def test_a_session_may_read_without_a_token(browser: Client) -> None:
    assert Api(client=browser).get("/ingestions").status_code == 200


def test_a_session_changes_nothing_without_its_csrf_token(browser: Client) -> None:
    check_problem(Api(client=browser).post("/tokens", {}), 403, "csrf_failed")
    assert not ApiToken.objects.exists()


def test_a_session_with_its_csrf_token_may_do_everything(browser: Client) -> None:
    token = browser.get("/docs").context["csrf_token"]
    assert Api(client=browser).post("/tokens", {}, **{"X-CSRFToken": str(token)}).status_code == 201


def test_a_token_needs_no_csrf_token(owner: User) -> None:
    text = token_create(user=owner, name="", scope="admin")[1]
    assert Api(text, Client(enforce_csrf_checks=True)).post("/tokens", {}).status_code == 201


def test_a_bad_token_is_refused_even_with_a_session_beside_it(browser: Client) -> None:
    check_problem(Api("al_nonsense", browser).get("/ingestions"), 401, "invalid_token")


def test_answers_are_not_for_caches(as_reader: Api) -> None:
    response: Any = as_reader.get("/ingestions")
    assert response["Cache-Control"] == "no-store"
