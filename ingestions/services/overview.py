"""What pages show of many ingestions at once: a fixed number of queries for any number of rows, and no cluster call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from ingestions.engine.ledger import State
from ingestions.models import Batch, Heartbeat, Ingestion, LedgerEntry, Run
from ingestions.models.ingestion import IngestionQuerySet
from ingestions.services.health import processes_alive
from ingestions.services.status import Badge, ingestion_badge

#: runs that a row draws as bars.
HISTORY = 30
#: failing ingestions that a page names one by one.
NAMED = 3
WAITING = (State.DISCOVERED, State.CLAIMED)


@dataclass
class Row:
    """One ingestion of a list. ``history`` is oldest first; ``loaded_at`` is when rows last reached the table."""

    ingestion: Ingestion
    badge: Badge
    history: list[Run] = field(default_factory=list)
    waiting_files: int = 0
    waiting_bytes: int = 0
    loaded_at: datetime | None = None

    @property
    def last_run(self) -> Run | None:
        return self.history[-1] if self.history else None

    @property
    def active_run(self) -> Run | None:
        return self.last_run if self.last_run and self.last_run.is_active else None


@dataclass(frozen=True)
class Totals:
    """Of all that a person may see. ``files`` and ``rows`` are those in tables, ``runs`` and ``failed`` of 24 hours."""

    ingestions: int
    active: int
    files: int
    rows: int
    bytes: int
    runs: int
    failed: int


@dataclass(frozen=True)
class Attention:
    """What needs a person: the failing ingestions (the first of them by row), those with schema changes to decide
    about, and processes that are missing."""

    failing: list[Row]
    failing_count: int
    reviewing: list[Ingestion]
    worker_missing: bool
    scheduler_missing: bool

    @property
    def others(self) -> int:
        return self.failing_count - len(self.failing)


def rows(ingestions: Sequence[Ingestion]) -> list[Row]:
    """The rows of these ingestions, in their order."""
    history = _histories(ingestions)
    waiting = _waiting(ingestions)
    loaded = _loaded_at(ingestions)
    return [
        Row(
            ingestion,
            ingestion_badge(ingestion, history[ingestion.pk][-1] if history.get(ingestion.pk) else None),
            history.get(ingestion.pk, []),
            *waiting.get(ingestion.pk, (0, 0)),
            loaded_at=loaded.get(ingestion.pk),
        )
        for ingestion in ingestions
    ]


def _histories(ingestions: Sequence[Ingestion]) -> dict[Any, list[Run]]:
    newest = Window(RowNumber(), partition_by=F("ingestion_id"), order_by=[F("queued_at").desc(), F("id").desc()])
    found = Run.objects.filter(ingestion__in=ingestions).annotate(place=newest).filter(place__lte=HISTORY)
    histories: dict[Any, list[Run]] = {}
    for run in found.order_by("queued_at", "id").defer("config"):
        histories.setdefault(run.ingestion_id, []).append(run)
    return histories


def _here(ingestions: Sequence[Ingestion]) -> Q:
    """Rows of the destination that each ingestion has now."""
    return Q(ingestion__in=ingestions, destination_key=F("ingestion__destination_key"))


def _waiting(ingestions: Sequence[Ingestion]) -> dict[Any, tuple[int, int]]:
    found = LedgerEntry.objects.filter(_here(ingestions), state__in=WAITING).order_by()
    counted = found.values("ingestion_id").annotate(files=Count("id"), bytes=Sum("size_bytes"))
    return {row["ingestion_id"]: (row["files"], row["bytes"] or 0) for row in counted}


def _loaded_at(ingestions: Sequence[Ingestion]) -> dict[Any, datetime]:
    found = Batch.objects.filter(_here(ingestions), state=Batch.State.LOADED).order_by()
    return dict(found.values_list("ingestion_id").annotate(at=Max("ended_at")))


def totals(visible: IngestionQuerySet, since: datetime) -> Totals:
    """``visible`` are all ingestions of a person; runs are counted from ``since`` on."""
    sums = visible.order_by().aggregate(
        ingestions=Count("id"),
        active=Count("id", filter=Q(status=Ingestion.Status.ACTIVE)),
        files=Sum("files_loaded", default=0),
        rows=Sum("rows_loaded", default=0),
        bytes=Sum("bytes_loaded", default=0),
    )
    ended = Run.objects.filter(ingestion__in=visible.order_by(), ended_at__gte=since).order_by()
    runs = ended.aggregate(runs=Count("id"), failed=Count("id", filter=Q(status=Run.Status.FAILED)))
    return Totals(**sums, **runs)


def attention(visible: IngestionQuerySet) -> Attention:
    last = Run.objects.filter(ingestion=OuterRef("pk")).order_by("-queued_at", "-id").values("status")[:1]
    failing = visible.annotate(last_status=Subquery(last)).filter(
        Q(status=Ingestion.Status.ERROR) | Q(last_status=Run.Status.FAILED) & ~Q(status=Ingestion.Status.PAUSED)
    )
    count = failing.count()
    alive = processes_alive(timezone.now())
    return Attention(
        rows(list(failing.select_related("cluster")[:NAMED])) if count else [],
        count,
        list(visible.filter(changes_pending__gt=0)[:NAMED]),
        worker_missing=Heartbeat.Kind.WORKER not in alive,
        scheduler_missing=Heartbeat.Kind.SCHEDULER not in alive,
    )


def row(ingestion: Ingestion) -> Row:
    return rows([ingestion])[0]


def states(ingestion: Ingestion) -> dict[str, int]:
    """Files of the ledger by state, for the destination that the ingestion has now; every state present."""
    found = LedgerEntry.objects.filter(_here([ingestion])).order_by().values_list("state").annotate(files=Count("id"))
    return {**{state.value: 0 for state in State}, **dict(found)}


def failed(ingestions: Sequence[Ingestion]) -> dict[Any, int]:
    """Failed files of each, where there are any."""
    found = LedgerEntry.objects.filter(_here(ingestions), state=State.FAILED).order_by().values_list("ingestion_id")
    return dict(found.annotate(files=Count("id")))
