"""The outbox against real servers: what arrives, what is tried again and when; nobody waits for somebody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import Alert, AlertDelivery, Ingestion, WebhookSecret
from ingestions.notify import webhook
from ingestions.notify.webhook import signature
from ingestions.services import alert_delivery
from ingestions.services.alert_delivery import claim, deliver, deliver_due, forget
from ingestions.services.alerts import alert_retry, alert_test, delivery_again, remind
from ingestions.services.deliverer import Deliverer
from ingestions.services.outcome import lost_with_the_table
from ingestions.services.webhook_secrets import secret_renew
from tests.cast import cluster, make_cluster, make_file, owner, person
from tests.services.alerted import NIGHT, alerted, end, kinds, waiting
from tests.support.smtp import MailServer
from tests.support.webhook import Webhook

__all__ = ["cluster", "owner"]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def mails(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.BASE_URL = "https://loader.example.com/"
        yield server


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with Webhook(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        yield server


@pytest.fixture
def feed(owner: User, cluster: Cluster, mails: MailServer, hook: Webhook) -> Ingestion:
    return alerted(owner, cluster, "ops@example.com", hook.url)


def only() -> AlertDelivery:
    return AlertDelivery.objects.get()


def test_a_failure_reaches_mailbox_and_webhook_with_what_to_do_and_where_to_look(
    feed: Ingestion, mails: MailServer, hook: Webhook
) -> None:
    make_file(feed, number=1, state=State.DISCOVERED)
    make_file(feed, number=2, state=State.FAILED)
    run = end(feed, "failed", NIGHT, files_loaded=1, rows_done=100)
    assert deliver_due(now=NIGHT) == 2
    (mail,) = mails.received
    assert (mail["To"], mail["Subject"]) == ("ops@example.com", "[Autoloader] Orders: failed")
    text = mail.get_content()
    for part in (
        "1 Mar 2026 at 03:00 UTC", "lake.shop.orders", "The bucket shop is gone.", "Enter the right one.",
        "No row was lost", "1 file with 100 rows before it failed", "1 known file waits for the next run",
        "1 file waits to be corrected",
        f"https://loader.example.com/runs/{run.pk}/", "reminded after an hour",
    ):  # fmt: skip
        assert part in text, part
    (got,) = hook.received
    document = got.document
    assert (document["kind"], document["run"]["error_code"]) == ("failed", "no_such_bucket")
    assert (document["files_waiting"], document["files_set_aside"], document["rows_lost"]) == (1, 1, False)
    assert document["run"]["url"] == f"https://loader.example.com/runs/{run.pk}/"
    assert document["text"] == Alert.objects.get().text
    secret = WebhookSecret.objects.get().secret
    expected = signature(secret, got.headers["Autoloader-Timestamp"], got.body)
    assert got.headers["Autoloader-Signature"] == f"v1={expected}"
    assert {each.state for each in AlertDelivery.objects.all()} == {"delivered"}


def test_a_recovery_says_how_long_it_was_and_what_waits(feed: Ingestion, mails: MailServer) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "failed", NIGHT + HOUR)
    end(feed, "success", NIGHT + 2 * HOUR + 5 * MINUTE, files_loaded=2, rows_done=1234)
    deliver_due(now=NIGHT + 3 * HOUR)
    assert [mail["Subject"] for mail in mails.received] == [
        "[Autoloader] Orders: failed",
        "[Autoloader] Orders: recovered",
    ]
    assert mails.received[0]["References"] == mails.received[1]["References"]
    text = mails.received[1].get_content()
    for part in (
        "after 2 h 5 min and 2 failed runs",
        "2 files with 1,234 rows",
        "No row was lost",
        "No known file waits",
    ):
        assert part in text, part


def test_rows_that_are_gone_with_their_table_are_not_called_safe(
    feed: Ingestion, mails: MailServer, hook: Webhook
) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "success", NIGHT + MINUTE, hint=lost_with_the_table(500))
    deliver_due(now=NIGHT + HOUR)
    text = mails.received[1].get_content()
    assert "500 rows that were loaded earlier are gone" in text
    assert "No row was lost" not in text
    assert hook.received[1].document["rows_lost"] is True


def test_a_reminder_says_since_when_and_how_often(feed: Ingestion, mails: MailServer) -> None:
    end(feed, "failed", NIGHT)
    end(feed, "failed", NIGHT + 2 * HOUR)
    remind(now=NIGHT + 2 * HOUR)
    deliver_due(now=NIGHT + 2 * HOUR)
    text = mails.received[-1].get_content()
    assert "failing for 2 h, since 1 Mar 2026 at 03:00 UTC: 2 runs in a row" in text


def test_what_does_not_arrive_is_tried_again_for_a_day_then_given_up_with_the_reason(
    owner: User, cluster: Cluster, hook: Webhook
) -> None:
    feed = alerted(owner, cluster, hook.url)
    hook.mode = 500
    end(feed, "failed", NIGHT)
    at, gaps = NIGHT, []
    while only().state == "waiting":
        deliver_due(now=at)
        if (then := only().next_try_at) is not None:
            assert deliver_due(now=then - timedelta(seconds=1)) == 0
            gaps.append((then - at) // MINUTE)
            make_file(feed, number=len(gaps), state=State.DISCOVERED)  # what it says stays as it was
            at = then
    assert gaps == [1, 5, 15, 60, 180, 360, 720]
    assert len(hook.received) == 8
    assert len({got.headers["Autoloader-Delivery"] for got in hook.received}) == 1
    assert len({got.body for got in hook.received}) == 1
    assert (only().state, only().reason) == ("given_up", "127.0.0.1 answered 500.")
    assert deliver_due(now=NIGHT + 9 * DAY) == 0


def test_it_arrives_once_the_server_is_mended_with_the_id_it_had(
    owner: User, cluster: Cluster, mails: MailServer
) -> None:
    feed = alerted(owner, cluster)
    mails.mode = "refuse"
    end(feed, "failed", NIGHT)
    assert deliver_due(now=NIGHT) == 0
    assert "550" in only().reason
    mails.mode = "accept"
    assert deliver_due(now=NIGHT + MINUTE) == 1
    assert mails.received[0]["Message-ID"].startswith(f"<{only().key}@")
    assert (only().state, only().reason, only().tries) == ("delivered", "", 2)
    assert mails.received[0]["Date"].datetime == NIGHT


def test_a_later_alert_takes_what_waits_along_in_order(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    hook.mode = 500
    end(feed, "failed", NIGHT)
    for at in (NIGHT, NIGHT + MINUTE, NIGHT + 6 * MINUTE, NIGHT + 21 * MINUTE):
        deliver_due(now=at)
    hook.mode = 200
    hook.received.clear()
    end(feed, "success", NIGHT + 25 * MINUTE)
    assert deliver_due(now=NIGHT + 25 * MINUTE) == 2
    assert [got.document["kind"] for got in hook.received] == ["failed", "recovered"]


def test_two_deliverers_at_once_deliver_once(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    end(feed, "failed", NIGHT)
    row = only()
    held = claim(row, now=NIGHT)
    assert held is not None
    assert claim(row, now=NIGHT) is None
    assert deliver_due(now=NIGHT) == 0
    assert deliver(held, now=NIGHT)
    assert len(hook.received) == 1


def test_a_deliverer_that_dies_with_it_in_hand_loses_nothing(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    end(feed, "failed", NIGHT)
    late = claim(only(), now=NIGHT)
    assert late is not None
    assert deliver_due(now=NIGHT + MINUTE) == 0
    held = claim(only(), now=NIGHT + 3 * MINUTE)
    assert held is not None
    hook.mode = 500
    deliver(late, now=NIGHT + 4 * MINUTE)
    assert (only().claim, only().reason) == (held.claim, "")  # one that comes back late changes nothing
    hook.mode = 200
    assert deliver(held, now=NIGHT + 4 * MINUTE)


def test_a_clock_that_is_set_back_holds_up_no_delivery(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    end(feed, "failed", NIGHT + 9 * DAY)
    assert claim(only(), now=NIGHT + 9 * DAY) is not None
    assert deliver_due(now=NIGHT) == 1


def test_who_is_no_recipient_any_more_gets_nothing(feed: Ingestion, hook: Webhook, mails: MailServer) -> None:
    end(feed, "failed", NIGHT)
    feed.config["quality"]["alert_recipients"] = ["ops@example.com"]
    feed.save()
    deliver_due(now=NIGHT)
    assert (len(hook.received), len(mails.received)) == (0, 1)
    assert AlertDelivery.objects.get(channel="webhook").state == "given_up"


def test_a_test_is_tried_once_and_says_at_once_what_is_wrong(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    hook.mode = 404
    alert_test(ingestion=feed, now=NIGHT)
    deliver_due(now=NIGHT)
    assert (only().state, only().reason) == ("given_up", "127.0.0.1 answered 404.")


def test_what_was_given_up_can_be_tried_again(owner: User, cluster: Cluster, hook: Webhook) -> None:
    feed = alerted(owner, cluster, hook.url)
    hook.mode = 404
    alert = alert_test(ingestion=feed, now=NIGHT)
    deliver_due(now=NIGHT)
    hook.mode = 200
    assert alert_retry(alert=alert, now=NIGHT + 3 * DAY) == 1
    assert deliver_due(now=NIGHT + 3 * DAY) == 1
    delivery_again(delivery=only(), now=NIGHT + 4 * DAY)
    assert deliver_due(now=NIGHT + 4 * DAY) == 1
    assert len({got.headers["Autoloader-Delivery"] for got in hook.received}) == 1


def test_a_new_secret_signs_from_now_on_and_is_encrypted(feed: Ingestion, hook: Webhook) -> None:
    secret = secret_renew(ingestion=feed, url=hook.url)
    alert_test(ingestion=feed, now=NIGHT)
    deliver_due(now=NIGHT)
    (got,) = hook.received
    assert got.headers["Autoloader-Signature"] == "v1=" + signature(
        secret, got.headers["Autoloader-Timestamp"], got.body
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM ingestions_webhooksecret")
        assert secret not in str(cursor.fetchall())


def test_no_secret_and_no_address_stands_in_the_log(
    feed: Ingestion, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    secret = secret_renew(ingestion=feed, url=hook.url)
    end(feed, "failed", NIGHT)
    with caplog.at_level("DEBUG"):
        hook.mode = 500
        deliver_due(now=NIGHT)
        hook.mode = 200
        deliver_due(now=NIGHT + HOUR)
    said = " ".join(str(vars(record)) for record in caplog.records)
    assert "alert delivered" in said
    assert secret not in said
    assert "sesame-sesame" not in said


def test_alerts_are_forgotten_after_ninety_days_unless_they_wait(feed: Ingestion, hook: Webhook) -> None:
    hook.mode = 500
    end(feed, "failed", NIGHT)
    deliver_due(now=NIGHT)
    assert forget(now=NIGHT + 91 * DAY) == 0
    AlertDelivery.objects.update(state="given_up")
    assert forget(now=NIGHT + 89 * DAY) == 0
    assert forget(now=NIGHT + 91 * DAY) == 1
    assert kinds(feed) == []


# ---- the threads of a process


@pytest.mark.django_db(transaction=True)
def test_a_webhook_that_hangs_keeps_nobody_waiting(
    hook: Webhook, mails: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "STEP_SECONDS", 20.0)
    hook.mode = "hang"
    owner = person("owner")
    cluster = make_cluster(owner)
    for number in range(20):  # more than there are threads
        end(alerted(owner, cluster, f"{hook.url}&n={number}", name=f"hangs {number}"), "failed", NIGHT)
    end(alerted(owner, cluster, name="last"), "failed", NIGHT)
    hands = Deliverer()
    began = time.monotonic()
    while not mails.received and time.monotonic() - began < 15:
        hands.step()
        time.sleep(0.05)
    assert mails.received[0]["Subject"] == "[Autoloader] last: failed"
    assert len(hook.received) <= 2
    hook.ended.set()
    hook.mode = 200
    while waiting() and time.monotonic() - began < 60:
        AlertDelivery.objects.filter(state="waiting", claimed_until=None).update(next_try_at=NIGHT)
        hands.step()
        time.sleep(0.05)
    assert hands.wait(10)
    assert {each.state for each in AlertDelivery.objects.all()} == {"delivered"}


@pytest.mark.django_db(transaction=True)
def test_two_processes_hands_deliver_each_alert_once(mails: MailServer) -> None:
    owner = person("owner")
    cluster = make_cluster(owner)
    for number in range(12):
        end(alerted(owner, cluster, f"{number}@example.com", name=f"feed {number}"), "failed", NIGHT)
    start = threading.Barrier(2)

    def work() -> None:
        hands = Deliverer()
        start.wait()
        began = time.monotonic()
        while waiting() and time.monotonic() - began < 30:
            hands.step()
            time.sleep(0.01)
        hands.wait(10)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mail["To"] for mail in mails.received) == sorted(f"{number}@example.com" for number in range(12))
    assert {each.tries for each in AlertDelivery.objects.all()} == {1}


def test_the_waits_grow_and_end_within_a_day() -> None:
    assert list(alert_delivery.WAITS) == sorted(alert_delivery.WAITS)
    assert sum(alert_delivery.WAITS, timedelta()) < alert_delivery.GIVE_UP_AFTER
