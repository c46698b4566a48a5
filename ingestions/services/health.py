"""Whether the installation works, cheaply enough to be asked every second. Counts and ages only: anyone may read it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Min
from django.utils import timezone
from django_q.models import OrmQ

from autoloader.lib.database import DatabaseFault
from clusters.models import Cluster
from clusters.url import parse
from ingestions.models import Heartbeat
from ingestions.services.heartbeat import ALIVE_SECONDS

#: a task that waits longer than this means that the workers do not keep up, or hang.
QUEUE_AGE_SECONDS = 120
PORT_TIMEOUT_SECONDS = 0.3


@dataclass(frozen=True)
class Check:
    """``ok`` decides about the status; ``needed`` ones about whether requests can be served at all."""

    ok: bool
    detail: str
    values: dict[str, Any]
    needed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "detail": self.detail, **self.values}


@dataclass(frozen=True)
class Health:
    checks: dict[str, Check]

    @property
    def status(self) -> str:
        return "ok" if all(check.ok for check in self.checks.values()) else "degraded"

    @property
    def ready(self) -> bool:
        """Whether requests can be served: a database, with all migrations."""
        return all(check.ok for check in self.checks.values() if check.needed)

    def to_json(self) -> dict[str, Any]:
        checks = {name: check.to_json() for name, check in self.checks.items()}
        return {"status": self.status, "live": True, "ready": self.ready, "checks": checks}


@dataclass(frozen=True)
class Queue:
    """Tasks that no worker has taken yet, and how long the first of them has waited."""

    length: int
    oldest_seconds: float


def health() -> Health:
    """Looks at everything. Without a database nothing else can be known, so nothing else is looked at."""
    try:
        pending = _pending_migrations()
        checks = {"database": Check(True, "reachable", {}, needed=True), "migrations": _migrations(pending)}
        if pending:
            return Health(checks)
        checks["worker"] = _processes(Heartbeat.Kind.WORKER)
        checks["scheduler"] = _processes(Heartbeat.Kind.SCHEDULER)
        checks["queue"] = _queue()
        if (spark := _embedded_spark()) is not None:
            checks["embedded_spark"] = spark
    except DatabaseFault:
        return Health({"database": Check(False, "not reachable", {}, needed=True)})
    return Health(checks)


#: once a process has seen every migration applied, that stays so for as long as it lives.
_migrated = False


def _pending_migrations() -> int:
    """How many migrations wait; also the proof that the database answers. Raises ``DatabaseFault``."""
    global _migrated
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return 0
    executor = MigrationExecutor(connection)
    pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _migrated = pending == 0
    return pending


def _migrations(pending: int) -> Check:
    if pending:
        return Check(False, "run `manage.py migrate`", {"pending": pending}, needed=True)
    return Check(True, "all applied", {"pending": 0}, needed=True)


def processes_alive(now: datetime) -> dict[str, tuple[int, float]]:
    """By kind: how many processes beat lately, and the seconds since the last beat of any of them."""
    alive = Heartbeat.objects.filter(beat_at__gte=now - timedelta(seconds=ALIVE_SECONDS))
    rows = alive.order_by().values("kind").annotate(n=Count("pk"), last=Max("beat_at")).values_list("kind", "n", "last")
    return {kind: (count, round(max((now - last).total_seconds(), 0), 1)) for kind, count, last in rows}


def _processes(kind: str) -> Check:
    count, age = processes_alive(timezone.now()).get(kind, (0, None))
    detail = f"{count} alive" if count else f"no {kind} has reported for {ALIVE_SECONDS} seconds"
    return Check(count > 0, detail, {"alive": count, "last_beat_seconds": age})


def queue(now: datetime) -> Queue:
    """django-q2 moves ``lock`` into the future when a worker takes a task; before, it is when the task was put in."""
    found = OrmQ.objects.filter(lock__lte=now).aggregate(length=Count("pk"), oldest=Min("lock"))
    waited = (now - found["oldest"]).total_seconds() if found["oldest"] else 0.0
    return Queue(found["length"], round(waited, 1))


def _queue() -> Check:
    state = queue(timezone.now())
    late = state.oldest_seconds > QUEUE_AGE_SECONDS
    detail = "tasks wait too long: look at the workers" if late else "no task waits for long"
    return Check(not late, detail, {"length": state.length, "oldest_seconds": state.oldest_seconds})


def _embedded_spark() -> Check | None:
    """Whether somebody listens on the embedded server's port; ``None`` where this installation has none."""
    url = Cluster.objects.filter(is_embedded=True).values_list("url", flat=True).first()
    if url is None:
        return None
    address = parse(url, default_port=settings.SPARK_CONNECT_DEFAULT_PORT)
    try:
        socket.create_connection((address.host, address.port), PORT_TIMEOUT_SECONDS).close()
    except OSError:
        return Check(False, "its port is closed; it may be starting", {})
    return Check(True, "its port is open", {})
