"""Pages that ask a cluster, with the embedded Spark: previews, dry runs, refreshes, tables that are dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.table import table_open
from tests.services.local_feed import LocalFeed
from tests.web.conftest import signed_in
from tests.web.test_ingestions import text

pytestmark = pytest.mark.spark


@pytest.fixture
def feed(transactional_db: None, spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    made = LocalFeed(tmp_path, spark_server.url, name="Fruit")
    with table_open(ingestion=made.ingestion) as loader:  # a server that has just started takes long for the first time
        loader.state()
    made.write("1.csv", "id,name\n1,apple\n2,pear\n")
    made.write("2.csv", "id,name\n3,plum\n")
    return made


def test_a_preview_and_a_dry_run_show_rows_columns_and_ddl(feed: LocalFeed) -> None:
    feed.write("3.csv", "id,name,price\n4,fig,many\n")
    browser = signed_in(feed.owner)
    address = f"/ingestions/{feed.ingestion.pk}"
    shell = text(browser, f"{address}/preview/")
    assert 'hx-trigger="load"' in shell
    assert "plum" not in shell
    page = text(browser, f"{address}/preview/?look=1", **{"HX-Request": "true"}).replace("\u00a0", " ")
    for part in ("plum", "bigint", "CREATE TABLE", "has price beside the usual columns", "75 %"):
        assert part in page, part
    assert page.strip().startswith('<div id="seen"')
    dry = text(browser, f"{address}/dry-run/?look=1")
    for part in ("about 4 rows of 3 files in 1 batch", "which it would make", "CREATE TABLE", "1.csv"):
        assert part in dry, part
    assert not LedgerEntry.objects.exists()
    costs = text(browser, f"{address}/cost/")
    assert "not measured" in costs
    assert "Price DBU hour" in costs


def test_a_text_is_previewed_before_it_is_saved(feed: LocalFeed) -> None:
    browser = signed_in(feed.owner)
    address = f"/ingestions/{feed.ingestion.pk}"
    yaml = (
        browser.get(f"{address}/export/")
        .content.decode()
        .replace("type: csv", "type: csv\n  schema: {hints: {id: string}}")
    )
    body = {"text": yaml, "step": "preview", "config_version": 1}
    page = browser.post(f"{address}/edit/", body).content.decode()
    assert "plum" in page
    assert "hints: {id: string}" in page  # the editor is kept
    assert "bigint" not in page.split('id="columns"')[1].split("</table>")[0]
    none = browser.post(
        "/ingestions/new/",
        {"text": yaml.replace("type: local", "type: local\n  file_pattern: '*.txt'"), "step": "preview"},
    )
    assert "no file" in none.content.decode().lower()


def test_a_refresh_shows_its_impact_and_then_does_it(feed: LocalFeed) -> None:
    assert feed.run().status == "success"
    browser = signed_in(feed.owner)
    address = f"/ingestions/{feed.ingestion.pk}/refresh/"
    page = text(browser, f"{address}?mode=full&look=1").replace("\u00a0", " ")
    assert "The 3 rows of" in page
    assert "accept_loss" not in page
    (feed.folder / "2.csv").unlink()
    page = text(browser, f"{address}?mode=full&look=1").replace("\u00a0", " ")
    assert "Of the files once loaded 1 cannot be loaded again" in page
    assert "accept_loss" in page
    key = feed.ingestion.destination_key
    refused = browser.post(address, {"mode": "full", "table": key, "auto_run": "yes"}).content.decode()
    assert "gone from the source" in refused
    assert "<code>accept_loss" not in refused
    assert f'value="{key}"' in refused  # what was typed is kept
    assert feed.rows("id") == [(1,), (2,), (3,)]
    done = browser.post(address, {"mode": "full", "table": key, "accept_loss": "yes", "auto_run": "yes"})
    told = done.content.decode()
    assert "Table dropped" in told
    assert "Follow the run" in told
    assert Run.objects.filter(ingestion=feed.ingestion, trigger="refresh").count() == 1


def test_an_ingestion_is_deleted_with_its_table(feed: LocalFeed) -> None:
    feed.run()
    ingestion = feed.ingestion
    browser = signed_in(feed.owner)
    page = browser.post(f"/ingestions/{ingestion.pk}/delete/", {"name": "Fruit", "drop": "yes"}, follow=True)
    assert "Fruit and its table are deleted." in page.content.decode()
    assert not Ingestion.objects.exists()
    with table_open(ingestion=ingestion) as loader:
        assert loader.state() is None
