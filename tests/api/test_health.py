from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from ingestions.models import Heartbeat, Ingestion
from ingestions.services import health
from ingestions.services.runs import run_start
from tests.cast import make_cluster


@pytest.fixture
def ask(db: None) -> Callable[[], Any]:
    return lambda: Client().get("/health")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)


def beat(kind: str, seconds_ago: float = 0) -> None:
    now = timezone.now()
    Heartbeat.objects.create(
        kind=kind, process=f"host:{kind}", started_at=now, beat_at=now - timedelta(seconds=seconds_ago)
    )


def test_all_is_well_with_worker_and_scheduler(ask: Callable[[], Any]) -> None:
    beat("worker")
    beat("scheduler")
    response = ask()
    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["live"], body["ready"]) == ("ok", True, True)
    assert body["checks"]["worker"]["alive"] == 1
    assert "no-store" in response["Cache-Control"]


def test_without_a_worker_it_is_degraded_and_still_serves(ask: Callable[[], Any]) -> None:
    beat("worker", seconds_ago=31)
    beat("scheduler")
    response = ask()
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["worker"]["ok"] is False
    assert response.json()["checks"]["scheduler"]["ok"] is True


def test_a_task_that_waits_too_long_degrades_it(ask: Callable[[], Any], ingestion: Ingestion) -> None:
    beat("worker")
    beat("scheduler")
    run_start(ingestion=ingestion)
    assert ask().json()["checks"]["queue"]["length"] == 1
    assert ask().json()["status"] == "ok"
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=300))
    body = ask().json()
    assert body["status"] == "degraded"
    assert body["checks"]["queue"]["oldest_seconds"] >= 300


def test_a_task_that_a_worker_has_taken_does_not_wait(ask: Callable[[], Any], ingestion: Ingestion) -> None:
    run_start(ingestion=ingestion)
    OrmQ.objects.update(lock=timezone.now() + timedelta(seconds=60))
    assert ask().json()["checks"]["queue"] == {
        "ok": True,
        "detail": "no task waits for long",
        "length": 0,
        "oldest_seconds": 0.0,
    }


def test_the_embedded_server_is_looked_at_where_there_is_one(ask: Callable[[], Any]) -> None:
    assert "embedded_spark" not in ask().json()["checks"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        make_cluster(None, url=f"sc://127.0.0.1:{port}/;user_id=x", is_embedded=True)
        assert ask().json()["checks"]["embedded_spark"]["ok"] is True
    assert ask().json()["checks"]["embedded_spark"]["ok"] is False


def test_without_a_database_it_is_a_503(ask: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OperationalError("connection refused to user=loader password=hunter2")

    monkeypatch.setattr(health, "_pending_migrations", refuse)
    response = ask()
    assert response.status_code == 503
    assert response.json() == {
        "status": "degraded",
        "live": True,
        "ready": False,
        "checks": {"database": {"ok": False, "detail": "not reachable"}},
    }


def test_with_a_pending_migration_it_is_a_503(ask: Callable[[], Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'ingestions'")
    response = ask()
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"]["pending"] >= 1


def test_migrations_are_looked_for_once_only(
    ask: Callable[[], Any], queries_of: Callable[[Callable[[], Any]], int]
) -> None:
    first = queries_of(ask)
    assert queries_of(ask) <= min(first, 6)


def test_it_names_nothing_that_belongs_to_anyone(ask: Callable[[], Any], owner: User, ingestion: Ingestion) -> None:
    beat("worker")
    content = ask().content.decode()
    assert not any(word in content for word in ("owner", "Orders", "Warehouse", "host:"))
