"""Real files, as they were published, with the configuration that a person would write first: every row arrives, every
value stands in its column or in ``_rescued_data``."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry
from ingestions.services.execution import run_to_end
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_start
from ingestions.services.table import table_open

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]

ROOT = Path(os.environ["AUTOLOADER_REAL_FEEDS"])
#: a folder of many files is a feed; in a folder of few each file is one.
MANY = 10


def feeds() -> list[tuple[Path, str]]:
    found = []
    for folder in sorted({path.parent for path in ROOT.rglob("*.*")}):
        for kind in ("csv", "json", "parquet"):
            files = sorted(folder.glob(f"*.{kind}"))
            found += [(folder, f"*.{kind}")] if len(files) >= MANY else [(folder, file.name) for file in files]
    return found


@pytest.fixture
def ingestion(spark_server: EmbeddedServer, request: pytest.FixtureRequest, settings: Any) -> Ingestion:
    return make(spark_server, settings, *request.param)


def make(spark_server: EmbeddedServer, settings: Any, folder: Path, pattern: str, **options: Any) -> Ingestion:
    settings.LOCAL_ROOTS = [str(ROOT)]
    owner = User.objects.create_user("owner")
    cluster = Cluster.objects.create(
        name="embedded", url=spark_server.url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02
    )
    table = "_".join([folder.name, pattern.replace("*", "all"), *options])
    config = {
        "name": table,
        "cluster_id": str(cluster.pk),
        "source": {"type": "local", "path": str(folder), "file_pattern": pattern},
        "format": {"type": pattern.rsplit(".", 1)[1], "options": options},
        "destination": {"catalog": "local", "database": "real", "table": table},
    }
    return ingestion_create(owner=owner, config=config)[0]


@pytest.mark.parametrize("ingestion", feeds(), indirect=True, ids=lambda feed: f"{feed[0].name}/{feed[1]}")
def test_a_real_feed_loads_without_a_silent_loss(ingestion: Ingestion) -> None:
    run = run_to_end(run_id=str(run_start(ingestion=ingestion).pk), timeout=240)
    files = {entry.address: entry for entry in LedgerEntry.objects.all()}
    told = [(entry.address, entry.reason) for entry in files.values() if entry.state != "LOADED"]
    assert run.status == "success", (run.error_message, told)
    assert told == []
    assert ledger_verify(ingestion=ingestion).ok
    with table_open(ingestion=ingestion) as loader:
        stored = values_in_table(loader.sample_rows(10**6))
    for address, entry in files.items():
        rows, values = counted(Path(address.removeprefix("file://")), ingestion.config["format"]["type"])
        assert entry.rows == rows, address
        if values is not None:
            assert stored[address] == values, address


def test_the_features_of_a_document_are_rows_each(spark_server: EmbeddedServer, settings: Any) -> None:
    for path in ROOT.rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("features"), list):
            continue
        ingestion = make(spark_server, settings, path.parent, path.name, records_path="features[*]")
        run = run_to_end(run_id=str(run_start(ingestion=ingestion).pk), timeout=240)
        assert (run.status, run.rows_done) == ("success", len(document["features"])), run.error_message
        with table_open(ingestion=ingestion) as loader:
            ids = {row["id"] for row in loader.sample_rows(10**6)}
        assert ids == {feature["id"] for feature in document["features"]}


def values_in_table(rows: list[dict[str, Any]]) -> Counter[str]:
    """Per file: values in columns, and values that were rescued."""
    found: Counter[str] = Counter()
    for row in rows:
        rescued = json.loads(row["_rescued_data"] or "{}")
        own = [value for name, value in row.items() if name[0] != "_" and value not in (None, "")]
        found[row["_source_file"]] += len(own) + sum(1 for key in rescued if key != "_file_path")
    return found


def counted(path: Path, kind: str) -> tuple[int, int | None]:
    """Rows, and values that are not empty, by readers that share nothing with ours."""
    if kind == "csv":
        text = io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")
        rows = [row for row in csv.reader(text) if row][1:]
        return len(rows), sum(1 for row in rows for value in row if value != "")
    if kind == "json":
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, list):
            return 1, None
        flat = all(not isinstance(value, (dict, list)) for row in document for value in row.values())
        return len(document), sum(
            value not in (None, "") for row in document for value in row.values()
        ) if flat else None
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).metadata.num_rows, None
