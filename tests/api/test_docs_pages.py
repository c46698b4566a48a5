from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

PAGES = pytest.mark.parametrize("path", ["/docs", "/redoc"])


@pytest.fixture
def client(db: None) -> Client:
    return Client()


@PAGES
def test_anyone_may_read_it(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert b'data-openapi-url="/api/v1/openapi.json"' in response.content


@PAGES
def test_it_has_no_script_of_its_own_and_nothing_from_elsewhere(client: Client, path: str) -> None:
    page = client.get(path).content.decode()
    assert "://" not in page
    assert all(body == "" for body in re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL))
    assert "<style" not in page


@PAGES
def test_every_asset_it_names_is_there(client: Client, path: str) -> None:
    page = client.get(path).content.decode()
    assets = re.findall(r'(?:src|href)="/static/([^"]+)"', page)
    assert len(assets) >= 3
    assert all(finders.find(asset) for asset in assets)


@PAGES
def test_its_policy_allows_inline_styles_and_no_inline_script(client: Client, path: str) -> None:
    policy = client.get(path)["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy


def test_the_policy_is_strict_elsewhere(client: Client) -> None:
    assert "unsafe" not in client.get("/api/v1/openapi.json")["Content-Security-Policy"]
    assert "unsafe" not in client.get("/health")["Content-Security-Policy"]
