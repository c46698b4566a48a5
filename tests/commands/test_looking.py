"""``manage.py ingestion preview | dry-run | estimate`` and ``ledger skip | retry``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Ingestion
from tests.cast import make_cluster, make_file, make_ingestion
from tests.commands.support import manage

FEED = """
name: Orders
cluster_id: Warehouse
source: {{type: local, path: "{folder}"}}
format: {{type: csv}}
destination: {{catalog: local, database: looks, table: from_command}}
"""


@pytest.fixture
def feed(tmp_path: Path, settings: Any) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("id,name\n1,x\n2,y\n")
    path = tmp_path / "feed.yaml"
    path.write_text(FEED.format(folder=tmp_path / "in"))
    return path


def test_an_estimate_of_a_file_that_is_not_saved(feed: Path, superuser: Any) -> None:
    make_cluster(superuser, is_embedded=True)
    done = manage("ingestion", "estimate", "-f", str(feed))
    assert done.code == 0, done.err
    assert "a month" in done.out
    assert "price dbu hour" in done.out
    assert json.loads(manage("ingestion", "estimate", "-f", str(feed), "--json").out)["basis"] == "modelled"
    assert not Ingestion.objects.exists()


def test_it_has_to_be_said_what_to_look_at(superuser: Any) -> None:
    done = manage("ingestion", "preview")
    assert done.code != 0
    assert "not clear what to look at" in done.err


def test_a_wrong_feed_is_told_with_its_line(feed: Path, superuser: Any) -> None:
    make_cluster(superuser, is_embedded=True)
    feed.write_text(feed.read_text().replace("type: csv", "type: csv, bad_rows: never"))
    done = manage("ingestion", "preview", "-f", str(feed))
    assert done.code != 0
    assert "line 5" in done.err


def test_a_file_is_skipped_and_let_in_again(superuser: Any) -> None:
    ingestion = make_ingestion(superuser, make_cluster(superuser))
    file = make_file(ingestion, state="FAILED", reason="broken", rows=None, snapshot_id=None)
    assert manage("ledger", "skip", str(file.pk)).code == 0
    file.refresh_from_db()
    assert (file.state, file.reason) == ("SKIPPED", "skipped: superuser said so")
    assert manage("ledger", "retry", str(file.pk)).code == 0
    file.refresh_from_db()
    assert (file.state, file.reason) == ("DISCOVERED", "")
    refused = manage("ledger", "retry", str(file.pk))
    assert refused.code != 0
    assert "DISCOVERED" in refused.err
    assert manage("ledger", "skip", "999999").code != 0


@pytest.mark.spark
@pytest.mark.django_db(transaction=True)
def test_a_preview_and_a_dry_run_by_a_real_cluster(feed: Path, superuser: Any, spark_server: EmbeddedServer) -> None:
    cluster: Cluster = make_cluster(superuser, url=spark_server.url, is_embedded=True)
    done = manage("ingestion", "preview", "-f", str(feed))
    assert done.code == 0, done.err
    assert "1 file, 16 bytes, about 2 rows" in done.out
    assert "CREATE TABLE IF NOT EXISTS `local`.`looks`.`from_command`" in done.out
    source = {"type": "local", "path": str(feed.parent / "in")}
    table = {"catalog": "local", "database": "looks", "table": "from_command"}
    make_ingestion(superuser, cluster, source=source, destination=table)
    done = manage("ingestion", "dry-run", "Orders")
    assert done.code == 0, done.err
    assert "would load 1 file " in done.out
