"""Alerts of real processes: workers whose runs fail, schedulers that tell of it, and whatever of them is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.installation import Installation
from tests.support.smtp import MailServer
from tests.support.webhook import Webhook

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Webhook]:
    with Webhook(tmp_path) as server:
        yield server


@pytest.fixture
def installation(tmp_path: Path, mails: MailServer, hook: Webhook) -> Iterator[Installation]:
    """No cluster is there: the runs of these tests fail, or find nothing, before they need one."""
    made = Installation(
        tmp_path / "site",
        "sc://127.0.0.1:9",
        AUTOLOADER_ALLOWED_NETWORKS="127.0.0.0/8",
        SSL_CERT_FILE=str(hook.authority),
        **mails.environment(),
    )
    try:
        yield made
    finally:
        made.stop_all()


def feed(installation: Installation, *to: str) -> tuple[str, Path]:
    """Its id, and the folder that its runs need."""
    folder = installation.files / "orders"
    folder.mkdir()
    quality = {"alerts_enabled": True, "alert_recipients": list(to)}
    config = {
        "name": "Orders", "cluster_id": "test", "source": {"type": "local", "path": str(folder)},
        "format": {"type": "csv"}, "destination": {"catalog": "local", "database": "shop", "table": "orders"},
        "quality": quality,
    }  # fmt: skip
    return installation.create(config), folder


#: what begins a run that nobody has asked for.
START = (
    "from ingestions.models import Ingestion;"
    "from ingestions.services.runs import run_start as start;"
    "run = start(ingestion=Ingestion.objects.get(), trigger='scheduled');"
)


def test_a_failure_and_a_recovery_are_told_by_two_schedulers_once(
    installation: Installation, mails: MailServer, hook: Webhook
) -> None:
    _, folder = feed(installation, "ops@example.com", hook.url)
    folder.rmdir()
    for name in ("scheduler 1", "scheduler 2"):
        installation.start(name, "run_scheduler", "--tick", "0.2")
    installation.start("worker", "run_worker")
    installation.python(START)
    installation.until("both are told", lambda: mails.received and hook.received, 60)
    folder.mkdir()
    installation.python(START)
    installation.until("both are told again", lambda: len(mails.received) + len(hook.received) >= 4, 60)
    time.sleep(2)  # long enough for a second scheduler to do it again
    assert [mail["Subject"] for mail in mails.received] == [
        "[Autoloader] Orders: failed",
        "[Autoloader] Orders: recovered",
    ]
    assert [got.document["kind"] for got in hook.received] == ["failed", "recovered"]
    assert str(folder) in mails.received[0].get_content()
    logs = "".join(path.read_text() for path in installation.folder.glob("*.log"))
    assert "alert delivered" in logs
    assert "sesame-sesame" not in logs


def test_a_worker_that_is_killed_right_after_its_run_has_failed_leaves_the_alert(
    installation: Installation, mails: MailServer
) -> None:
    """The run's end is committed, and the process that committed it is gone before anything is sent."""
    _, folder = feed(installation, "ops@example.com")
    folder.rmdir()
    code = (
        f"import os, signal;from ingestions.services.execution import run_work as work;{START}"
        "work(run_id=str(run.pk)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert installation.manage("shell", "--no-imports", "-c", code, check=False).returncode == -9
    assert installation.query("select status from ingestions_run") == [("failed",)]
    assert mails.received == []
    installation.start("scheduler", "run_scheduler")
    installation.until("it is told", lambda: mails.received, 60)
    assert mails.received[0]["Subject"] == "[Autoloader] Orders: failed"


def test_a_scheduler_that_is_killed_in_a_delivery_leaves_it_to_another_under_the_same_id(
    installation: Installation, hook: Webhook
) -> None:
    feed(installation, hook.url)
    hook.mode = "hang"
    installation.python(
        f"{START}from ingestions.services.alerts import alert_test as test; test(ingestion=run.ingestion)"
    )
    installation.start("scheduler", "run_scheduler")
    installation.until("it is in hand", lambda: hook.received, 60)
    installation.kill("scheduler")
    hook.mode = 200
    past = "import datetime; past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC);"
    installation.python(
        f"{past}from ingestions.models import AlertDelivery; AlertDelivery.objects.update(claimed_until=past)"
    )
    installation.start("another", "run_scheduler")
    installation.until(
        "it is delivered",
        lambda: installation.query("select 1 from ingestions_alertdelivery where state='delivered'"),
        60,
    )
    first, second = hook.received
    assert first.headers["Autoloader-Delivery"] == second.headers["Autoloader-Delivery"]
