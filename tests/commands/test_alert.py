"""``manage.py alert list | test | retry | secret``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from ingestions.models import Alert, Ingestion, WebhookSecret
from tests.cast import make_alert, make_cluster, make_ingestion
from tests.commands.support import manage
from tests.support.smtp import MailServer

HOOK = "https://hooks.example.com/services/T000/B000/XXXXXXXXXXXX"


@pytest.fixture
def mails(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


def feed(superuser: User, *to: str) -> Ingestion:
    quality = {"alerts_enabled": True, "alert_recipients": list(to)}
    return make_ingestion(superuser, make_cluster(superuser), quality=quality)


def test_nothing_was_told_yet(superuser: User) -> None:
    assert "Nobody was told anything yet." in manage("alert", "list").out


def test_alerts_are_listed_for_people_and_programs(superuser: User) -> None:
    row = make_alert(feed(superuser, "ops@example.com"), "given_up", tries=8, reason="It answered 500.")
    shown = manage("alert", "list", "Orders", "--state", "given_up").out
    for part in ("ops@example.com", "given_up", "It answered 500.", str(row.alert_id)):
        assert part in shown
    (one,) = json.loads(manage("alert", "list", "--json").out)
    assert one["deliveries"][0]["reason"] == "It answered 500."
    assert json.loads(manage("alert", "list", "--state", "waiting", "--json").out) == []


def test_a_test_is_delivered_by_the_command_itself(superuser: User, mails: MailServer) -> None:
    feed(superuser, "a@example.com", "b@example.com")
    done = manage("alert", "test", "Orders")
    assert done.code == 0, done.err
    assert [mail["To"] for mail in mails.received] == ["a@example.com", "b@example.com"]
    assert mails.received[0]["Subject"] == "[Autoloader] Orders: test alert"
    assert "Nothing happened" in mails.received[0].get_content()
    assert done.out.count("delivered") == 2


def test_a_test_that_does_not_arrive_says_why_and_fails(superuser: User, mails: MailServer) -> None:
    feed(superuser, "a@example.com")
    mails.mode = "refuse"
    done = manage("alert", "test", "Orders")
    assert done.code == 1
    assert "550 5.1.1 nobody of that name" in done.out


def test_what_did_not_arrive_is_tried_again_at_once(superuser: User, mails: MailServer) -> None:
    ingestion = feed(superuser, "ops@example.com")
    mails.mode = "refuse"
    manage("alert", "test", "Orders")
    mails.mode = "accept"
    number = Alert.objects.get(ingestion=ingestion).pk
    assert manage("alert", "retry", str(number)).code == 0
    assert len(mails.received) == 1
    again = manage("alert", "retry", str(number))
    assert again.code == 2
    assert "delivered to everybody" in again.err
    assert manage("alert", "retry", "999").code == 2


def test_a_secret_is_the_only_thing_on_standard_output(superuser: User) -> None:
    ingestion = feed(superuser, "ops@example.com", HOOK)
    done = manage("alert", "secret", "Orders")
    assert done.out.strip() == WebhookSecret.objects.get().secret
    assert "T000" not in done.err
    assert json.loads(manage("alert", "secret", "Orders", HOOK, "--json").out)["recipient"].endswith("…XXXX")
    assert manage("alert", "secret", "Orders", "ops@example.com").code == 2
    assert WebhookSecret.objects.get().owner == ingestion.owner
