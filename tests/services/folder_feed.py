"""A folder and an ingestion of it whose runs only list: nothing is loaded, and no cluster is asked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import Cluster
from ingestions.engine.discovery import Before, Discovered, discover
from ingestions.engine.incremental import Memory
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.discovering import audit_of
from ingestions.services.ingestions import ingestion_create
from ingestions.services.lease import claim
from ingestions.services.source import source_of
from ingestions.services.starting import start_of
from ingestions.services.store import OrmStore


class FolderFeed:
    """``write`` files, ``look`` at them as a run does, see the ledger's ``states``."""

    def __init__(self, folder: Path, owner: User, **parts: Any) -> None:
        self.folder = folder
        cluster, _ = Cluster.objects.get_or_create(
            is_embedded=True,
            defaults={"name": "here", "url": "sc://127.0.0.1:1", "price_dbu_hour": 0.4, "price_storage_gb_month": 0.02},
        )
        body = {
            "name": "feed",
            "cluster_id": str(cluster.pk),
            "source": {"type": "local", "path": str(folder), **parts.pop("source", {})},
            "format": {"type": "csv"},
            "destination": {"catalog": "lake", "database": "shop", "table": "orders"},
            **parts,
        }
        self.ingestion: Ingestion = ingestion_create(owner=owner, config=body)[0]

    def write(self, name: str, content: str = "id\n1\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def look(self, now: datetime | None = None) -> tuple[Discovered, Run]:
        """One run's listing; the run ends with it."""
        self.ingestion.refresh_from_db()
        run = claim(run_id=str(Run.objects.create(ingestion=self.ingestion).pk))
        assert run is not None
        config = self.ingestion.configuration()
        store = OrmStore(run, destination_key=config.destination.key)
        source = source_of(run.ingestion, config)
        found = discover(
            source,
            store,
            config.source,
            now=lambda: now or timezone.now(),
            before=Before(Memory.from_json(store.listing_memory()), audit_of(config)),
            start=start_of(self.ingestion, config),
        )
        store.finish_discovery(listed=found.listed, hint=found.hint, end=found.end)
        source.close()
        Run.objects.filter(pk=run.pk).update(status=Run.Status.SUCCESS, lease_token="", lease_expires_at=None)
        run.refresh_from_db()
        return found, run

    def states(self) -> Counter[tuple[str, str]]:
        """(state, cause) → files."""
        return Counter(LedgerEntry.objects.filter(ingestion=self.ingestion).values_list("state", "cause"))
