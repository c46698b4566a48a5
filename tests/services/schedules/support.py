"""Ingestions with schedules, and the instants at which somebody looks at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ingestions.models import Ingestion, Run
from ingestions.services.schedules import planned
from tests.cast import make_ingestion

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def scheduled(owner: Any, cluster: Any, *, now: datetime = NOON, name: str = "Orders", **schedule: Any) -> Ingestion:
    """An active one, planned as of ``now``; every hour unless something else is said."""
    row = make_ingestion(
        owner, cluster, name=name, schedule={"frequency": "hourly", **schedule}, status=Ingestion.Status.ACTIVE,
        limits={"priority": 0},
    )  # fmt: skip
    values = planned(pk=row.pk, schedule=row.configuration().schedule, status=row.status, now=now)
    Ingestion.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def ended(run: Run, status: str = "success") -> None:
    Run.objects.filter(pk=run.pk).update(status=status, ended_at=NOON)


def fires(row: Ingestion) -> list[datetime]:
    """What runs of it were for, oldest first."""
    return sorted(at for at in row.runs.values_list("scheduled_for", flat=True) if at)
