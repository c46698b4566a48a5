"""A folder of files, an ingestion of it and its runs, through the services and the embedded Spark."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import Verification, ledger_verify
from ingestions.services.runs import run_start
from ingestions.services.table import table_open


class LocalFeed:
    """``write`` files, ``run`` them in, look at the table's ``rows`` and the ledger's ``states``."""

    def __init__(self, folder: Path, spark_url: str, **config: Any) -> None:
        self.folder = folder
        self.table = f"t_{uuid.uuid4().hex[:10]}"
        self.owner, _ = User.objects.get_or_create(username="owner")
        self.cluster, _ = Cluster.objects.get_or_create(
            is_embedded=True,
            defaults={"name": "embedded", "url": spark_url, "price_dbu_hour": 0.4, "price_storage_gb_month": 0.023},
        )
        destination = {"catalog": "local", "database": "feeds", "table": self.table, **config.pop("destination", {})}
        self.body: dict[str, Any] = {
            "name": config.pop("name", self.table),
            "cluster_id": str(self.cluster.pk),
            "source": {"type": "local", "path": str(folder), **config.pop("source", {})},
            "format": {"type": "csv", **config.pop("format", {})},
            "destination": destination,
            **config,
        }
        self._ingestion: Ingestion | None = None

    @property
    def ingestion(self) -> Ingestion:
        if self._ingestion is None:
            self._ingestion = ingestion_create(owner=self.owner, config=self.body)[0]
        self._ingestion.refresh_from_db()
        return self._ingestion

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, **changes: Any) -> Run:
        return run_to_end(run_id=str(run_start(ingestion=self.ingestion, **changes).pk), timeout=240)

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        with table_open(ingestion=self.ingestion) as loader:
            found = loader.sample_rows(100_000)
        return sorted((tuple(row.get(name) for name in names) for row in found), key=repr)

    def states(self) -> dict[str, str]:
        """File name → state, the newest version's."""
        rows = LedgerEntry.objects.filter(ingestion=self.ingestion).order_by("id")
        return {address.rsplit("/", 1)[-1]: state for address, state in rows.values_list("address", "state")}

    def verify(self) -> Verification:
        return ledger_verify(ingestion=self.ingestion)
