"""Refreshing, deleting, and the steps of an ingestion: nothing is dropped before its name is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.table import table_open
from tests.cast import make_cluster, make_ingestion, make_run
from tests.services.local_feed import LocalFeed
from tests.web.conftest import signed_in
from tests.web.test_ingestions import text


def test_a_refresh_is_chosen_before_anything_is_looked_at(browser: Client, ingestion: Ingestion) -> None:
    page = text(browser, f"/ingestions/{ingestion.pk}/refresh/")
    assert "?mode=full" in page
    assert 'hx-trigger="load"' not in page
    chosen = text(browser, f"/ingestions/{ingestion.pk}/refresh/?mode=full")
    assert 'hx-get="?mode=full&amp;look=1"' in chosen
    assert "<noscript>" in chosen
    assert "Drop the table and refresh" not in chosen
    assert "?mode=full" in text(browser, f"/ingestions/{ingestion.pk}/refresh/?mode=zebra&look=1")


def test_a_refusal_is_shown_in_place_of_the_form(browser: Client, ingestion: Ingestion) -> None:
    Run.objects.create(ingestion=ingestion, status="running", lease_token="held")
    page = text(browser, f"/ingestions/{ingestion.pk}/refresh/?mode=full&look=1", **{"HX-Request": "true"})
    assert page.strip().startswith('<div id="impact"')
    assert "already active" in page
    assert "Nothing was changed." in page
    assert "<form" not in page


def test_a_refresh_wants_the_name_of_the_table(browser: Client, ingestion: Ingestion) -> None:
    body = {"mode": "full", "table": "lake.shop.order"}
    page = browser.post(f"/ingestions/{ingestion.pk}/refresh/", body).content.decode()
    assert "Type lake.shop.orders" in page
    ingestion.refresh_from_db()
    assert ingestion.refresh_mode == ""


def test_deleting_forgets_and_leaves_the_table(browser: Client, ingestion: Ingestion) -> None:
    make_run(ingestion, files=2)
    page = text(browser, f"/ingestions/{ingestion.pk}/delete/").replace("\u00a0", " ")
    assert "1 run and a ledger of 2 files" in page
    wrong = browser.post(f"/ingestions/{ingestion.pk}/delete/", {"name": "orders", "drop": "no"}).content.decode()
    assert "Type Orders" in wrong
    assert 'value="orders"' in wrong
    assert Ingestion.objects.exists()
    done = browser.post(f"/ingestions/{ingestion.pk}/delete/", {"name": "Orders", "drop": "no"}, follow=True)
    assert "Orders is deleted." in done.content.decode()
    assert not Ingestion.objects.exists()
    assert not LedgerEntry.objects.exists()


def test_an_active_run_is_in_the_way_of_deleting(browser: Client, ingestion: Ingestion) -> None:
    Run.objects.create(ingestion=ingestion, status="running", lease_token="held")
    for drop in ("no", "yes"):
        page = browser.post(f"/ingestions/{ingestion.pk}/delete/", {"name": "Orders", "drop": drop}).content.decode()
        assert "active" in page
        assert "Nothing was deleted." in page
    assert Ingestion.objects.exists()


def test_a_cluster_that_is_away_keeps_table_and_ingestion(owner: User) -> None:
    away = make_ingestion(owner, make_cluster(owner, url="sc://127.0.0.1:9"))
    page = signed_in(owner).post(f"/ingestions/{away.pk}/delete/", {"name": "Orders", "drop": "yes"}).content.decode()
    assert "127.0.0.1:9" in page
    away.refresh_from_db()
    assert away.refresh_mode == ""


def test_steps_are_offered_where_they_make_sense(browser: Client, owner: User, cluster: Cluster) -> None:
    expected = {"draft": {"activate"}, "active": {"pause"}, "paused": {"resume"}, "error": {"pause", "resume"}}
    for status, verbs in expected.items():
        one = make_ingestion(owner, cluster, status=status)
        page = text(browser, f"/ingestions/{one.pk}/")
        offered = {verb for verb in ("activate", "pause", "resume") if f"/ingestions/{one.pk}/{verb}/" in page}
        assert offered == verbs, status


def test_an_ingestion_is_activated_paused_and_resumed(browser: Client, ingestion: Ingestion) -> None:
    address = f"/ingestions/{ingestion.pk}/"
    for verb, status, said in (
        ("activate", "active", "is active"),
        ("pause", "paused", "is paused"),
        ("resume", "active", "is active again"),
    ):
        page = browser.post(f"{address}{verb}/", {"next": f"{address}settings/"}, follow=True)
        assert page.redirect_chain == [(f"{address}settings/", 302)]
        assert said in page.content.decode()
        ingestion.refresh_from_db()
        assert ingestion.status == status
    assert "there is nothing to resume" in browser.post(f"{address}resume/", follow=True).content.decode()


# ---- with a cluster


@pytest.fixture
def feed(transactional_db: None, spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    made = LocalFeed(tmp_path, spark_server.url, name="Fruit")
    with table_open(ingestion=made.ingestion) as loader:  # a server that has just started takes long for the first time
        loader.state()
    made.write("1.csv", "id,name\n1,apple\n2,pear\n")
    made.write("2.csv", "id,name\n3,plum\n")
    return made


@pytest.mark.spark
def test_a_preview_and_a_dry_run_show_rows_columns_and_ddl(feed: LocalFeed) -> None:
    feed.write("3.csv", "id,name,price\n4,fig,many\n")
    browser = signed_in(feed.owner)
    address = f"/ingestions/{feed.ingestion.pk}"
    shell = text(browser, f"{address}/preview/")
    assert 'hx-trigger="load"' in shell
    assert "plum" not in shell
    page = text(browser, f"{address}/preview/?look=1", **{"HX-Request": "true"}).replace("\u00a0", " ")
    for part in ("plum", "bigint", "CREATE TABLE", "has price beside the usual columns", "66.7 %"):
        assert part in page, part
    assert page.strip().startswith('<div id="seen"')
    dry = text(browser, f"{address}/dry-run/?look=1")
    for part in ("about 4 rows of 3 files in 1 batch", "which it would make", "CREATE TABLE", "1.csv"):
        assert part in dry, part
    assert not LedgerEntry.objects.exists()
    costs = text(browser, f"{address}/cost/")
    assert "not measured" in costs
    assert "Price DBU hour" in costs


@pytest.mark.spark
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


@pytest.mark.spark
def test_a_refresh_shows_its_impact_and_then_does_it(feed: LocalFeed) -> None:
    assert feed.run().status == "success"
    browser = signed_in(feed.owner)
    address = f"/ingestions/{feed.ingestion.pk}/refresh/"
    page = text(browser, f"{address}?mode=full&look=1").replace("\u00a0", " ")
    assert "The 3 rows of" in page
    assert "accept_loss" not in page
    (feed.folder / "2.csv").unlink()
    page = text(browser, f"{address}?mode=full&look=1").replace("\u00a0", " ")
    assert "1 files once loaded cannot be loaded again" in page
    assert "accept_loss" in page
    key = feed.ingestion.destination_key
    refused = browser.post(address, {"mode": "full", "table": key, "auto_run": "yes"}).content.decode()
    assert "gone from the source" in refused
    assert feed.rows("id") == [(1,), (2,), (3,)]
    done = browser.post(address, {"mode": "full", "table": key, "accept_loss": "yes", "auto_run": "yes"})
    told = done.content.decode()
    assert "Table dropped" in told
    assert "Follow the run" in told
    assert Run.objects.filter(ingestion=feed.ingestion, trigger="refresh").count() == 1


@pytest.mark.spark
def test_an_ingestion_is_deleted_with_its_table(feed: LocalFeed) -> None:
    feed.run()
    ingestion = feed.ingestion
    browser = signed_in(feed.owner)
    page = browser.post(f"/ingestions/{ingestion.pk}/delete/", {"name": "Fruit", "drop": "yes"}, follow=True)
    assert "Fruit and its table are deleted." in page.content.decode()
    assert not Ingestion.objects.exists()
    with table_open(ingestion=ingestion) as loader:
        assert loader.state() is None
