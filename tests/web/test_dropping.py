"""Refreshing, deleting, and the steps of an ingestion: nothing is dropped before its name is typed."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from clusters.models import Cluster
from ingestions.models import Ingestion, LedgerEntry, Run
from tests.cast import make_cluster, make_ingestion, make_run
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
