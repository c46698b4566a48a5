"""Mails through a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestions.notify import NotDelivered, mail
from tests.support.smtp import MailServer

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.BASE_URL = "https://loader.example.com"
        yield server


def send(to: str = "ops@example.com") -> None:
    mail.send(to=to, subject="Orders: failed – ähm", text="Zeile\n.\nEnde", key="k-1", incident="i-1", at=AT,
              about={"X-Autoloader-Kind": "failed"})  # fmt: skip


def refused(**given: Any) -> str:
    with pytest.raises(NotDelivered) as caught:
        send(**given)
    return caught.value.message


def test_a_mail_arrives_as_it_was_written(server: MailServer) -> None:
    send()
    (got,) = server.received
    assert (got["To"], got["Subject"]) == ("ops@example.com", "Orders: failed – ähm")
    assert got["Message-ID"] == "<k-1@loader.example.com>"
    assert got["References"] == got["In-Reply-To"] == "<i-1@loader.example.com>"
    assert got["Date"].datetime == AT
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().splitlines() == ["Zeile", ".", "Ende"]


def test_a_recipient_that_is_refused_is_told_with_what_the_server_said(server: MailServer) -> None:
    server.mode = "refuse"
    assert "refused the recipient: 550 5.1.1 nobody of that name" in refused()


def test_a_server_that_drops_the_line_is_told(server: MailServer) -> None:
    server.mode = "drop"
    assert "closed the connection" in refused()
    assert server.received == []


def test_a_server_that_says_nothing_is_given_up(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.mode = "hang"
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.3)
    assert "did not answer within 0.3 s" in refused()


def test_a_server_that_drips_is_cut_off(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.mode = "drip"
    monkeypatch.setattr(mail, "WHOLE_SECONDS", 0.6)
    began = time.monotonic()
    assert "did not end within 0.6 s" in refused()
    assert time.monotonic() - began < 5


def test_a_server_that_is_not_there_is_told(server: MailServer, settings: Any) -> None:
    settings.EMAIL_PORT = 1
    assert "cannot be reached: Connection refused" in refused()


def test_without_a_mail_server_it_is_said_what_to_set(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    assert "EMAIL_HOST" in refused()


def test_settings_that_contradict_each_other_are_told(server: MailServer, settings: Any) -> None:
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = True
    assert "contradict" in refused()
