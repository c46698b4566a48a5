"""One word per state, one colour per word: the only table that turns stored states into labels and tones.

Tones are CSS class names: ok, warn, bad, run (something moves), off (nothing is wanted of it).
"""

from __future__ import annotations

from dataclasses import dataclass

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import AlertDelivery, Ingestion, Run, SchemaChange


@dataclass(frozen=True)
class Badge:
    label: str
    tone: str


RUN: dict[str, Badge] = {
    Run.Status.QUEUED: Badge("Queued", "run"),
    Run.Status.RUNNING: Badge("Running", "run"),
    Run.Status.SUCCESS: Badge("Succeeded", "ok"),
    Run.Status.PARTIAL: Badge("Partial", "warn"),
    Run.Status.FAILED: Badge("Failed", "bad"),
    Run.Status.CANCELLED: Badge("Cancelled", "off"),
}
FILE: dict[str, Badge] = {
    State.DISCOVERED: Badge("Waiting", "run"),
    State.CLAIMED: Badge("Loading", "run"),
    State.LOADED: Badge("Loaded", "ok"),
    State.SKIPPED: Badge("Skipped", "off"),
    State.QUARANTINED: Badge("Quarantined", "warn"),
    State.FAILED: Badge("Failed", "bad"),
    State.SUPERSEDED: Badge("Superseded", "off"),
}
CHANGE: dict[str, Badge] = {
    SchemaChange.Status.PENDING: Badge("Waits for you", "warn"),
    SchemaChange.Status.APPROVED: Badge("Approved", "run"),
    SchemaChange.Status.APPLIED: Badge("Applied", "ok"),
    SchemaChange.Status.REJECTED: Badge("Rejected", "off"),
    SchemaChange.Status.WITHDRAWN: Badge("Withdrawn", "off"),
}
DELIVERY: dict[str, Badge] = {
    AlertDelivery.State.WAITING: Badge("Waiting", "run"),
    AlertDelivery.State.DELIVERED: Badge("Delivered", "ok"),
    AlertDelivery.State.GIVEN_UP: Badge("Given up", "bad"),
}
CLUSTER: dict[str, Badge] = {
    "running": Badge("Running", "ok"),
    "stopped": Badge("Not reachable", "bad"),
    "unknown": Badge("Not tested", "off"),
}
#: of a cluster that runs wait for, whatever its last test said.
AWAITED = Badge("Does not answer", "bad")


def cluster_badge(cluster: Cluster) -> Badge:
    return AWAITED if cluster.awaited else CLUSTER[cluster.status]


def run_badge(run: Run) -> Badge:
    if run.is_idle:
        return Badge("Watching", "warn" if run.files_failed or run.files_held else "ok")
    return Badge("Waiting", "warn") if run.is_active and run.waits_for else RUN[run.status]


def ingestion_badge(ingestion: Ingestion, last_run: Run | None) -> Badge:
    """What a person reads: the stored status refined by what the last run did."""
    if last_run is not None and last_run.is_active and (last_run.is_idle or last_run.waits_for):
        return run_badge(last_run)
    if last_run is not None and last_run.status == Run.Status.RUNNING:
        return Badge("Loading", "run")
    if last_run is not None and last_run.status == Run.Status.QUEUED:
        return Badge("Queued", "run")
    if ingestion.status == Ingestion.Status.PAUSED:
        return Badge("Paused", "off")
    if ingestion.status == Ingestion.Status.ERROR:
        return Badge("Failing", "bad")
    if last_run is not None and last_run.status == Run.Status.FAILED:
        return Badge("Failing", "bad")
    if ingestion.changes_pending:
        return Badge("Needs review", "warn")
    if ingestion.status == Ingestion.Status.DRAFT:
        return Badge("Draft", "off")
    return Badge("Healthy", "ok")
