"""A retry, from the broken file to the corrected rows, through Spark."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_retry, run_start

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "good.csv.gz").write_bytes(gzip.compress(b"id\n1\n2\n"))
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(b"id\n3\n4\n5\n")[:-9])
    return tmp_path


def make(folder: Path, server: EmbeddedServer, overwritten: str) -> Ingestion:
    owner = User.objects.create_user("owner")
    cluster = Cluster.objects.create(
        name="embedded", url=server.url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02
    )
    config = {
        "name": "Retried",
        "cluster_id": str(cluster.pk),
        "source": {"type": "local", "path": str(folder)},
        "format": {"type": "csv", "overwritten": overwritten},
        "destination": {"catalog": "local", "database": "retry", "table": overwritten},
    }
    return ingestion_create(owner=owner, config=config)[0]


def ended(run: Run) -> Run:
    return run_to_end(run_id=str(run.pk), timeout=120)


@pytest.mark.parametrize("overwritten", ["ignore", "append"])
def test_a_corrected_file_is_loaded_once_by_a_retry(
    spark_server: EmbeddedServer, folder: Path, overwritten: str
) -> None:
    ingestion = make(folder, spark_server, overwritten)
    first = ended(run_start(ingestion=ingestion))
    assert (first.status, first.files_loaded, first.files_failed) == ("partial", 1, 1)
    again = ended(run_retry(run=first))
    assert (again.status, again.files_failed) == ("failed", 1)  # it is as broken as before
    (folder / "broken.csv.gz").write_bytes(gzip.compress(b"id\n3\n4\n5\n"))
    mended = ended(run_retry(run=again))
    assert (mended.status, mended.files_loaded, mended.rows_done) == ("success", 1, 3)
    states = LedgerEntry.objects.filter(address__endswith="broken.csv.gz").order_by("pk")
    assert [(row.state, row.rows) for row in states] == [("SKIPPED", None), ("LOADED", 3)]
    assert ledger_verify(ingestion=ingestion).ok
    assert ended(run_start(ingestion=ingestion)).files_loaded == 0
