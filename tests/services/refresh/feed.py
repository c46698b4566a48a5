"""A feed that is loaded, to be dropped and loaded again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import ledger_verify
from ingestions.services.refresh import ingestion_refresh
from ingestions.services.runs import run_start
from ingestions.services.table import table_open
from tests.engine.loader.feed import new_session

FILES = 4


class Feed:
    """Files of two rows each, their ingestion, and its table."""

    def __init__(self, folder: Path, url: str, table: str, **more: Any) -> None:
        self.folder, self.url, self.table = folder, url, f"local.refreshed.{table}"
        owner, _ = User.objects.get_or_create(username="owner")
        cluster, _ = Cluster.objects.get_or_create(
            name="c", url=url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02, workers=2
        )
        for number in range(FILES):
            self.put(number)
        config = {
            "name": table,
            "cluster_id": str(cluster.pk),
            "source": {"type": "local", "path": str(folder)},
            "format": {"type": "csv"},
            "destination": {"catalog": "local", "database": "refreshed", "table": table},
            "limits": {"files_per_batch": 3},
            **more,
        }
        self.ingestion = ingestion_create(owner=owner, config=config)[0]

    def put(self, number: int, later: int = 0) -> Path:
        """``later``: another version, as many seconds younger."""
        path = self.folder / f"{number}.csv"
        path.write_text(f"id,name\n{number},a\n{number},{'b' * (later + 1)}\n")
        stamp = path.stat().st_mtime + later
        os.utime(path, (stamp, stamp))
        return path

    def load(self) -> Run:
        run = run_to_end(run_id=str(run_start(ingestion=self.ingestion).pk), timeout=120)
        assert run.status == "success", (run.error_code, run.error_message)
        return run

    def refresh(self, mode: str, **options: Any) -> Any:
        return ingestion_refresh(ingestion=self.fresh(), mode=mode, **options)

    def fresh(self) -> Ingestion:
        return Ingestion.objects.get(pk=self.ingestion.pk)

    def finish(self) -> Run:
        """Works the run that is queued to its end."""
        run = run_to_end(run_id=str(Run.objects.active().get().pk), timeout=120)
        assert run.status == "success", (run.error_code, run.error_message)
        return run

    def ids(self) -> list[int]:
        with table_open(ingestion=self.ingestion) as loader:
            return sorted(int(str(row["id"])) for row in loader.sample_rows(1000)) if loader.state() else []

    def check_whole(self, count: int = FILES) -> None:
        assert self.ids() == sorted([*range(count), *range(count)])
        assert ledger_verify(ingestion=self.ingestion).ok
        row = self.fresh()
        assert (row.files_loaded, row.rows_loaded, row.created_table, row.refresh_mode) == (count, 2 * count, True, "")

    def states(self) -> list[str]:
        return list(LedgerEntry.objects.order_by("pk").values_list("state", flat=True))

    def sql(self, statement: str) -> None:
        new_session(self.url).sql(statement).collect()


def operations(outcome: Any) -> list[tuple[str, str]]:
    return [(each["operation"], each["status"]) for each in outcome.to_json()["operations"]]
