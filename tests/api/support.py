"""What each test of an answer asks of it."""

from __future__ import annotations

from typing import Any

import pytest


def check_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem document; gives it back."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert {"type", "title", "detail", "hint"} <= body.keys()
    assert "Traceback" not in response.content.decode()
    return body


def check_list(response: Any, total: int) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    assert response["X-Total-Count"] == str(total)
    rows: list[dict[str, Any]] = response.json()
    return rows


def follow(api: Any, response: Any, rel: str = "next") -> Any:
    """The answer behind a ``Link`` of this answer."""
    for link in response.headers.get("Link", "").split(", "):
        target, _, name = link.partition("; ")
        if name == f'rel="{rel}"':
            return api.get(target.strip("<>").removeprefix("http://testserver/api/v1"))
    pytest.fail(f"no link {rel}: {response.headers.get('Link')}")
