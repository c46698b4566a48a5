"""What a refresh would mean: files, bytes, time and money, and what would be lost. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from autoloader.lib.words import plural
from ingestions.engine.discovery import survey
from ingestions.engine.ledger import Known, State
from ingestions.models import Batch, Ingestion, LedgerEntry
from ingestions.services import recording
from ingestions.services.refresh_work import FULL
from ingestions.services.source import source_of
from ingestions.services.starting import start_of

#: batches whose speed is taken for the next ones', newest first.
BATCHES_LOOKED_AT = 50
#: where nothing was ever loaded on a cluster.
ASSUMED_BYTES_PER_SECOND_AND_WORKER = 10 * 1000**2
#: files that a refusal names.
EXAMPLES = 5
GB = 1000**3


@dataclass
class Impact:
    """``lost`` are files once loaded that a full refresh would not load again; ``examples`` some of their addresses."""

    files_to_process: int = 0
    files_skipped: int = 0
    bytes_to_process: int = 0
    minutes: float = 0.0
    cost: float = 0.0
    lost: int = 0
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "files_to_process": self.files_to_process,
            "files_skipped": self.files_skipped,
            "estimated_data_size_gb": round(self.bytes_to_process / GB, 6),
            "estimated_cost_usd": round(self.cost, 4),
            "estimated_duration_minutes": round(self.minutes, 2),
        }


def impact(*, ingestion: Ingestion, mode: str, should_stop: Callable[[], bool] = lambda: False) -> Impact:
    """Lists the source, page by page, beside the ledger. RunStopped where ``should_stop`` says so, and what the source
    says.
    """
    config = ingestion.configuration()
    source = source_of(ingestion, config)
    ledger = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    found = Impact()
    seen: set[int] = set()
    try:
        start = start_of(ingestion, config)
        for page in survey(source, config.source, now=timezone.now, start=start, should_stop=should_stop):
            known = recording.known(ledger, [file.address for file in page])
            for file in page:
                rows = known.get(file.address, [])
                seen |= {row.id for row in rows if row.state == State.LOADED}
                if mode == FULL or _waits(file.version, rows):
                    found.files_to_process += 1
                    found.bytes_to_process += file.size_bytes
    finally:
        source.close()
    loaded = ledger.filter(state=State.LOADED)
    if mode == FULL:
        _count_lost(found, loaded, seen)
    else:
        found.files_skipped = loaded.count()
    _estimate(found, ingestion)
    return found


def _waits(version: str, rows: Sequence[Known]) -> bool:
    """Whether this version is loaded by a run after a refresh of only new files: it is new, or waits already."""
    return next((row.state in (State.DISCOVERED, State.CLAIMED) for row in rows if row.version == version), True)


def _count_lost(found: Impact, loaded: Any, seen: set[int]) -> None:
    addresses = {
        address for pk, address in loaded.values_list("pk", "address").iterator(chunk_size=5000) if pk not in seen
    }
    found.lost = len(addresses)
    found.examples = sorted(addresses)[:EXAMPLES]


# ---- time and money


def _estimate(found: Impact, ingestion: Ingestion) -> None:
    cluster = ingestion.cluster
    speed, note = _speed(ingestion)
    hours = found.bytes_to_process / speed / 3600
    found.minutes = hours * 60
    found.cost = hours * cluster.workers * cluster.dbu_per_worker * cluster.price_dbu_hour
    found.notes.append(f"Duration: {note}.")
    found.notes.append(
        f"Cost: duration x {plural(cluster.workers, 'worker')} x {cluster.dbu_per_worker:g} DBU x "
        f"{cluster.price_dbu_hour:g} {cluster.currency} a DBU hour."
        + ("" if cluster.currency == "USD" else f" It is in {cluster.currency}, the cluster's currency.")
    )


def _rate(speed: float) -> str:
    """Bytes a second, in the unit in which they are read easily."""
    for unit, size in (("MB/s", 1000**2), ("KB/s", 1000)):
        if speed >= size:
            return f"{speed / size:.3g} {unit}"
    return f"{speed:.0f} B/s"


def _speed(ingestion: Ingestion) -> tuple[float, str]:
    """Bytes of source files a second, and where that comes from."""
    loaded = Batch.objects.filter(state=Batch.State.LOADED, bytes__gt=0, ended_at__isnull=False)
    for rows, whose in (
        (loaded.filter(ingestion=ingestion), "of this ingestion"),
        (loaded.filter(ingestion__cluster=ingestion.cluster), "of this cluster"),
    ):
        spans = list(rows.order_by("-ended_at").values_list("bytes", "created_at", "ended_at")[:BATCHES_LOOKED_AT])
        seconds = sum((ended - created).total_seconds() for _, created, ended in spans if ended)
        if seconds > 0:
            speed = sum(size for size, _, _ in spans) / seconds
            batches = "the last batch" if len(spans) == 1 else f"the last {len(spans)} batches"
            return speed, f"measured, {_rate(speed)} in {batches} {whose}"
    assumed = ASSUMED_BYTES_PER_SECOND_AND_WORKER * ingestion.cluster.workers
    return assumed, f"assumed, {assumed / 1000**2:g} MB/s, as nothing was loaded on this cluster yet"
