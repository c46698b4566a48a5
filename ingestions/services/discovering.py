"""How the next listing of a source will be done, and how the last ones were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.incremental import Choice, Memory, choose, refusal, rules_of
from ingestions.models import Ingestion, Listing
from ingestions.services.starting import start_of


def audit_of(config: IngestionConfig) -> timedelta:
    """How often all of the source is listed although its names grow."""
    return timedelta(hours=config.source.audit_hours or settings.AUDIT_HOURS)


@dataclass(frozen=True)
class Outlook:
    """``next``: how the next run will list, and why. ``full_at``: when the last whole listing began; ``missed``: files
    that audits have found and incremental listings had missed; ``growth``: how names grow, or why that cannot be told.
    ``memory``: what earlier listings by the present rules have left.
    """

    next: Choice
    memory: Memory | None
    full_at: datetime | None
    audit_at: datetime | None
    missed: int
    growth: str


def outlook(ingestion: Ingestion, config: IngestionConfig | None = None) -> Outlook:
    """For the destination that it has now; one query."""
    config = config or ingestion.configuration()
    row = Listing.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key).first()
    memory = Memory.from_json(row.memory) if row else None
    rules = rules_of(config.source, start_of(ingestion, config))
    choice = choose(
        config.source,
        memory,
        rules=rules,
        overwritten=config.format.overwritten,
        now=timezone.now(),
        audit=audit_of(config),
    )
    growth = ""
    if memory is not None:
        growth = refusal(memory) or (memory.layout.words if memory.layout else "")
    incremental = choice.mode != "full" and memory is not None
    audit_at = memory.full_at + audit_of(config) if incremental and memory is not None else None
    kept = memory if memory is not None and memory.rules == rules else None
    return Outlook(choice, kept, row.full_at if row else None, audit_at, row.missed if row else 0, growth)


def refuse_incremental(ingestion: Ingestion, config: IngestionConfig) -> None:
    """Raises ConfigError where an incremental discovery is asked for and the names seen so far do not allow it."""
    if config.source.discovery != "incremental":
        return
    row = Listing.objects.filter(ingestion=ingestion, destination_key=config.destination.key).first()
    memory = Memory.from_json(row.memory) if row else None
    same = memory is not None and memory.rules == rules_of(config.source, start_of(ingestion, config))
    if memory is not None and same and memory.listed and (why := refusal(memory)):
        raise ConfigError(
            "incremental_refused",
            f"An incremental listing would miss files: {why}.",
            "Use auto, which takes it up as soon as the names allow it, or full.",
            field="source.discovery",
        )
