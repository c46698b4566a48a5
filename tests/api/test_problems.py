from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import OperationalError

from autoloader.lib.bounded import Busy
from autoloader.lib.errors import AccessError, AutoloaderError, DeadlineError, FatalError, TransientError
from ingestions.api import find
from tests.api.support import check_problem
from tests.cast import Api


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b'{"name": "\xff"}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_is_a_400(as_admin: Api, body: bytes) -> None:
    check_problem(as_admin.post("/tokens", body), 400, "malformed_json")


def test_an_escaped_backslash_is_no_escape(as_admin: Api) -> None:
    response = as_admin.post("/tokens", b'{"name": "a\\\\u0000b"}')
    assert response.status_code == 201
    assert response.json()["name"] == "a\\u0000b"


def test_a_body_that_does_not_validate_is_a_422_with_each_fault(as_admin: Api) -> None:
    body = check_problem(as_admin.post("/tokens", {"scope": "all", "color": "red"}), 422, "invalid_request")
    assert {error["loc"] for error in body["errors"]} == {"scope", "color"}
    assert all(error.keys() == {"loc", "msg"} for error in body["errors"])


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"3"])
def test_a_body_that_is_no_object_is_a_422(as_admin: Api, body: bytes) -> None:
    problem = check_problem(as_admin.post("/tokens", body), 422, "invalid_request")
    assert problem["errors"][0]["loc"] == "body"


def test_a_parameter_that_does_not_validate_is_a_422(as_reader: Api) -> None:
    for query in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "many"}, {"status": "happy"}, {"q": "\x00"}):
        body = check_problem(as_reader.get("/ingestions", **query), 422, "invalid_request")
        assert [error["loc"] for error in body["errors"]] == list(query)


def test_a_posted_value_never_comes_back_in_an_error(as_admin: Api) -> None:
    response = as_admin.post("/tokens", {"name": {"deep": "hunter2"}, "scope": "hunter2", "expires_at": "hunter2"})
    check_problem(response, 422, "invalid_request")
    assert b"hunter2" not in response.content


def test_a_body_that_is_too_large_is_a_413(as_admin: Api, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    check_problem(as_admin.post("/tokens", {"name": "x" * 1000}), 413, "body_too_large")


@pytest.mark.parametrize("path", ["/", "/nothing", "/ingestions/", "/ingestions/1/2/3/4"])
def test_an_unknown_path_is_a_404(anonymous: Api, path: str) -> None:
    check_problem(anonymous.get(path), 404, "unknown_path")
    check_problem(anonymous.post(path, {}), 404, "unknown_path")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/ingestions"])
def test_an_unknown_path_beside_the_api_is_a_404_too(anonymous: Api, path: str) -> None:
    check_problem(anonymous.client.get(path), 404, "unknown_path")


def test_a_wrong_method_is_a_405_that_names_the_right_ones(anonymous: Api) -> None:
    response = anonymous.call("PATCH", "/ingestions")
    check_problem(response, 405, "method_not_allowed")
    assert {word.strip() for word in response["Allow"].split(",")} == {"GET", "POST"}


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(find, "ingestion", fail)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessError("denied", "The bucket refused.", "Look at the key."), 502),
        (FatalError("broken", "The catalog is broken."), 502),
        (TransientError("asleep", "The cluster sleeps."), 503),
        (DeadlineError("late", "No answer."), 504),
        (AutoloaderError("odd", "Something odd."), 500),
    ],
)
def test_an_error_of_the_product_answers_with_its_own_status(
    as_reader: Api, monkeypatch: pytest.MonkeyPatch, error: AutoloaderError, status: int
) -> None:
    fail_with(monkeypatch, error)
    response = as_reader.get("/ingestions/1")
    body = check_problem(response, status, error.code)
    assert (body["detail"], body["hint"]) == (error.message, error.hint)
    assert ("Retry-After" in response) == (status == 503)


def test_a_full_executor_says_when_to_come_back(as_reader: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, Busy("a cluster", 7))
    response = as_reader.get("/ingestions/1")
    check_problem(response, 503, "busy")
    assert response["Retry-After"] == "7"


def test_a_fault_of_ours_is_a_500_whose_id_stands_in_the_log(
    as_reader: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_with(monkeypatch, RuntimeError("the password is hunter2"))
    with caplog.at_level(logging.ERROR):
        response = as_reader.get("/ingestions/1")
    body = check_problem(response, 500, "internal")
    assert b"hunter2" not in response.content
    logged = [record for record in caplog.records if getattr(record, "error_id", "") == body["error_id"]]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


def test_a_database_that_does_not_answer_is_a_503(as_reader: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OperationalError("database is locked"))
    response = as_reader.get("/ingestions/1")
    check_problem(response, 503, "database_unavailable")
    assert response["Retry-After"] == "5"
