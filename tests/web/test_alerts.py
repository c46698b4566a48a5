"""The page of alerts: who is told, what was told, and whether it reached them."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from clusters.models import Cluster
from ingestions.models import Alert, AlertDelivery, Ingestion, WebhookSecret
from tests.cast import make_alert, make_ingestion, make_run
from tests.web.test_ingestions import text

HOOK = "https://hooks.example.com/services/T000/B000/XXXXXXXXXXXX"


@pytest.fixture
def told(owner: User, cluster: Cluster) -> Ingestion:
    quality = {"alerts_enabled": True, "alert_recipients": ["ops@example.com", HOOK]}
    return make_ingestion(owner, cluster, quality=quality)


def test_without_recipients_it_says_how_to_get_some(browser: Client, ingestion: Ingestion) -> None:
    page = text(browser, f"/ingestions/{ingestion.pk}/alerts/")
    assert "Nobody is told when an unattended run fails." in page
    assert "Nothing yet." in page
    assert "Send a test alert" not in page


def test_deliveries_are_shown_with_state_reason_and_next_try(browser: Client, told: Ingestion) -> None:
    make_alert(told, run=make_run(told), tries=2, reason="hooks.example.com answered 500.")
    make_alert(told, "delivered", tries=1)
    make_alert(told, "given_up", tries=8, reason="It refused the recipient.")
    page = text(browser, f"/ingestions/{told.pk}/alerts/")
    for part in ("Waiting", "Delivered", "Given up", "hooks.example.com answered 500.", "It refused the recipient."):
        assert part in page
    assert page.count(">Try again now<") == 2
    assert "https://hooks.example.com/…XXXX" in page
    assert "T000" not in page
    assert "Alerts are off" not in page


def test_that_alerts_are_off_is_said(browser: Client, owner: User, cluster: Cluster) -> None:
    off = make_ingestion(owner, cluster, quality={"alert_recipients": ["ops@example.com"]})
    assert "Alerts are off" in text(browser, f"/ingestions/{off.pk}/alerts/")


def test_a_click_sends_a_test_and_a_second_one_too_soon_says_so(browser: Client, told: Ingestion) -> None:
    path = f"/ingestions/{told.pk}/alerts/test/"
    assert "A test is on its way." in browser.post(path, follow=True).content.decode()
    assert Alert.objects.get().kind == "test"
    assert "sent a moment ago" in browser.post(path, follow=True).content.decode()


def test_a_click_tries_again(browser: Client, told: Ingestion) -> None:
    delivery = make_alert(told, "given_up", tries=8)
    page = browser.post(f"/ingestions/{told.pk}/alerts/retry/", {"alert": delivery.alert_id}, follow=True)
    assert "It is tried again now." in page.content.decode()
    assert AlertDelivery.objects.get().state == "waiting"
    for wrong in ("", "x", "999999", "1" * 40):
        assert browser.post(f"/ingestions/{told.pk}/alerts/retry/", {"alert": wrong}).status_code == 404


def test_a_new_secret_is_shown_in_the_answer_and_nowhere_after(browser: Client, told: Ingestion) -> None:
    path = f"/ingestions/{told.pk}/alerts/"
    answer = browser.post(f"{path}secret/", {"recipient": "1"})
    found = re.search(r"whsec_[\w-]+", answer.content.decode())
    assert found is not None
    assert found[0] == WebhookSecret.objects.get().secret
    assert answer["Cache-Control"] == "no-store"
    after = text(browser, path)
    assert "whsec_" not in after
    assert "made " in after


@pytest.mark.parametrize("number", ["0", "2", "x", "", "-1"])
def test_a_recipient_that_is_no_webhook_has_no_secret(browser: Client, told: Ingestion, number: str) -> None:
    answer = browser.post(f"/ingestions/{told.pk}/alerts/secret/", {"recipient": number}, follow=True)
    assert "whsec_" not in answer.content.decode()
    assert not WebhookSecret.objects.exists()
