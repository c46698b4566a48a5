"""An ingestion whose alerts go somewhere, and runs of it that end as they are told, at the times that they are told."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from autoloader.lib.errors import AutoloaderError
from clusters.models import Cluster
from ingestions.models import Alert, AlertDelivery, Ingestion, Run
from ingestions.services import execution
from tests.cast import make_ingestion

NIGHT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
GONE = AutoloaderError("no_such_bucket", "The bucket shop is gone.", "Enter the right one.")


def alerted(owner: Any, cluster: Cluster, *to: str, **changes: Any) -> Ingestion:
    quality = {"alerts_enabled": True, "alert_recipients": list(to or ("ops@example.com",))}
    return make_ingestion(owner, cluster, **{"status": "active", "quality": quality, **changes})


def end(ingestion: Ingestion, status: str, at: datetime, *, trigger: str = "scheduled", **values: Any) -> Run:
    """Through the very function that a worker ends a run with."""
    values.setdefault("retry_number", int(trigger == "retry"))
    run = Run.objects.create(
        ingestion=ingestion, status=Run.Status.RUNNING, trigger=trigger, lease_token=uuid.uuid4().hex, started_at=at,
        **values,
    )  # fmt: skip
    with patch("django.utils.timezone.now", lambda: at):
        execution._finish(run, Run.Status(status), GONE if status == "failed" else None)
    run.refresh_from_db()
    assert run.status == status
    return run


def kinds(ingestion: Ingestion) -> list[str]:
    return list(Alert.objects.filter(ingestion=ingestion).order_by("pk").values_list("kind", flat=True))


def waiting() -> list[AlertDelivery]:
    return list(AlertDelivery.objects.filter(state="waiting").order_by("pk"))
