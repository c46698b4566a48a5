"""Signed requests to a real HTTPS server."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestions.notify import NotDelivered, webhook
from tests.support.webhook import Webhook

OWN = ["127.0.0.0/8"]


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with Webhook(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        yield server


def send(hook: Webhook, **changes: Any) -> None:
    given = {"url": hook.url, "document": {"kind": "failed"}, "key": "k-1", "secret": "s3cret", "allowed_networks": OWN}
    webhook.send(**{**given, **changes})


def refused(hook: Webhook, **changes: Any) -> str:
    with pytest.raises(NotDelivered) as caught:
        send(hook, **changes)
    return caught.value.message


def test_a_request_is_signed_over_its_time_and_its_body(hook: Webhook) -> None:
    send(hook)
    (got,) = hook.received
    stamp = got.headers["Autoloader-Timestamp"]
    expected = hmac.new(b"s3cret", stamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert got.headers["Autoloader-Signature"] == f"v1={expected}"
    assert abs(time.time() - int(stamp)) < 60
    assert (got.headers["Autoloader-Delivery"], got.document["id"], got.document["kind"]) == ("k-1", "k-1", "failed")
    assert got.path == "/hooks/alerts?key=sesame-sesame"
    assert got.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("mode", "said"), [(500, "answered 500"), (404, "answered 404"), (301, "redirects are not followed")]
)
def test_what_is_no_success_is_told_and_a_redirect_is_not_followed(hook: Webhook, mode: int, said: str) -> None:
    hook.mode = mode
    assert said in refused(hook)
    assert len(hook.received) == 1


def test_one_that_closes_the_line_is_told(hook: Webhook) -> None:
    hook.mode = "close"
    assert "closed the connection" in refused(hook)


def test_one_that_hangs_is_given_up(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.mode = "hang"
    monkeypatch.setattr(webhook, "STEP_SECONDS", 0.3)
    assert "did not answer within 0.3 s" in refused(hook)


def test_one_that_drips_is_cut_off(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time, and all of them never are."""
    hook.mode = "drip"
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 0.6)
    began = time.monotonic()
    assert "did not end within 0.6 s" in refused(hook)
    assert time.monotonic() - began < 5


def test_a_certificate_that_nobody_vouches_for_is_refused(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate that is not trusted" in refused(hook)
    assert hook.received == []


def test_a_certificate_of_another_name_is_refused(hook: Webhook) -> None:
    other = hook.url.replace("127.0.0.1", "127.0.0.2")
    assert "127.0.0.2" in refused(hook, url=other)
    assert hook.received == []


@pytest.mark.parametrize("url", ["https://127.0.0.1:{port}/x", "https://localhost:{port}/x", "https://[::1]:{port}/x"])
def test_a_private_network_that_is_not_allowed_is_never_called(hook: Webhook, url: str) -> None:
    assert "private network" in refused(hook, url=url.format(port=hook.port), allowed_networks=[])
    assert hook.received == []


def test_the_machines_own_services_are_never_called(hook: Webhook) -> None:
    assert "never opened" in refused(hook, url="https://169.254.169.254/", allowed_networks=["0.0.0.0/0"])


def test_nobody_at_home_is_told(hook: Webhook) -> None:
    assert "refuses connections" in refused(hook, url="https://127.0.0.1:1/")


def test_neither_secret_nor_path_stands_in_a_reason(hook: Webhook) -> None:
    for hook.mode in (500, 301, "close"):
        said = refused(hook)
        assert "sesame" not in said
        assert "s3cret" not in said
