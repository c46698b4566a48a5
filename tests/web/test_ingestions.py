from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Heartbeat, Ingestion, LedgerEntry, Run
from tests.cast import QueryCount, make_file, make_ingestion, make_run
from tests.web.conftest import signed_in


def text(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def alive() -> None:
    for kind in Heartbeat.Kind.values:
        Heartbeat.objects.create(kind=kind, process=f"host:{kind}", started_at=timezone.now(), beat_at=timezone.now())


def test_an_empty_list_says_how_to_begin(browser: Client) -> None:
    page = text(browser, "/ingestions/")
    assert "No ingestion yet" in page
    assert "ingestion create -f orders.yaml" in page


def test_the_list_shows_ones_own_with_source_table_and_rows(
    browser: Client, ingestion: Ingestion, run: Run, stranger: User, cluster: Cluster
) -> None:
    make_ingestion(stranger, cluster, name="Of somebody else")
    page = text(browser, "/ingestions/")
    assert "s3://shop/orders/*.csv" in page
    assert "lake.shop.orders" in page
    assert f"/runs/{run.pk}/" in page  # its bar leads to it
    assert "Of somebody else" not in page


def test_the_list_finds_by_name_and_table(browser: Client, ingestion: Ingestion, owner: User, cluster: Cluster) -> None:
    make_ingestion(owner, cluster, name="Clicks", destination={"catalog": "lake", "database": "web", "table": "clicks"})
    assert ">Orders<" not in text(browser, "/ingestions/?q=WEB.cl")
    assert ">Clicks<" in text(browser, "/ingestions/?q=WEB.cl")
    assert "Nothing is called “&lt;b&gt;”" in text(browser, "/ingestions/?q=<b>")
    assert text(browser, "/ingestions/?q=%00&page=zebra")


def test_a_longer_list_costs_no_more_queries(
    browser: Client, owner: User, cluster: Cluster, queries_of: QueryCount
) -> None:
    def fill(count: int) -> None:
        for number in range(count):
            one = make_ingestion(owner, cluster, name=f"Feed {number}")
            make_run(one, files=2)
            make_file(one, number=number + 100, state="DISCOVERED")

    fill(1)
    few = queries_of(lambda: browser.get("/ingestions/"))
    fill(20)
    assert queries_of(lambda: browser.get("/ingestions/")) == few <= 14


def test_what_fails_stands_first_and_says_that_nothing_is_lost(browser: Client, ingestion: Ingestion, run: Run) -> None:
    alive()
    make_file(ingestion, number=50, state="DISCOVERED")
    Run.objects.create(
        ingestion=ingestion, status="failed", error_message="The bucket shop is gone.", ended_at=timezone.now()
    )
    page = text(browser, "/ingestions/")
    assert page.index("The bucket shop is gone.") < page.index("Files loaded")
    assert "Nothing is lost: 1 file wait" in page
    ingestion.status = Ingestion.Status.PAUSED
    ingestion.save()
    assert "is failing" not in text(browser, "/ingestions/")


def test_a_missing_worker_is_told(browser: Client, ingestion: Ingestion) -> None:
    assert "No worker reports" in text(browser, "/ingestions/")
    alive()
    assert "reports" not in text(browser, "/ingestions/")


def test_the_list_asks_again_only_while_something_runs(browser: Client, ingestion: Ingestion, run: Run) -> None:
    assert "data-poll" not in text(browser, "/ingestions/")
    active = Run.objects.create(ingestion=ingestion, status="running", started_at=timezone.now())
    assert "data-poll" in text(browser, "/ingestions/")
    part = text(browser, "/ingestions/", **{"HX-Request": "true"})
    assert part.strip().startswith('<div id="live" data-poll')
    active.status = "success"
    active.ended_at = timezone.now()
    active.save()
    assert "data-poll" not in text(browser, "/ingestions/", **{"HX-Request": "true"})


def test_an_ingestion_shows_its_counts_and_where_they_lead(browser: Client, ingestion: Ingestion, run: Run) -> None:
    make_file(ingestion, number=50, state="FAILED", rows=None)
    page = text(browser, f"/ingestions/{ingestion.pk}/")
    assert f"/ingestions/{ingestion.pk}/files/?state=FAILED" in page
    assert "4711" in page  # the snapshot, to paste into a query


def test_names_are_text_and_never_markup(browser: Client, owner: User, cluster: Cluster) -> None:
    evil = make_ingestion(owner, cluster, name="<script>alert(1)</script> 'x' \"y\"")
    make_run(evil, errors=1)
    LedgerEntry.objects.update(address="s3://b/<img src=x>.csv")
    for page in (f"/ingestions/{evil.pk}/", "/ingestions/", "/runs/", f"/ingestions/{evil.pk}/files/"):
        body = text(browser, page)
        assert "<script>alert" not in body
        assert "<img" not in body


def test_run_now_queues_a_run_once(browser: Client, ingestion: Ingestion, owner: User) -> None:
    page = browser.post(f"/ingestions/{ingestion.pk}/run/", follow=True).content.decode()
    run = Run.objects.get()
    assert (run.status, run.trigger, run.requested_by) == ("queued", "manual", owner)
    assert "A run of Orders is queued." in page
    assert "Stop the run" in page
    again = browser.post(f"/ingestions/{ingestion.pk}/run/", follow=True).content.decode()
    assert "already active" in again
    assert Run.objects.count() == 1


def test_progress_shows_what_is_done_of_what_there_is(browser: Client, ingestion: Ingestion) -> None:
    run = Run.objects.create(
        ingestion=ingestion,
        status="running",
        started_at=timezone.now() - timedelta(hours=1),
        discovered_at=timezone.now(),
        files_total=8,
        files_loaded=2,
        bytes_total=8_000_000,
        bytes_done=2_000_000,
        rows_done=5000,
        phase="batch 2: writing rows",
    )
    assert "not known yet" in text(browser, f"/ingestions/{ingestion.pk}/"), "no batch tells how fast it is"
    batch = run.batches.create(
        ingestion=ingestion, destination_key=ingestion.destination_key, number=1, state="loaded", snapshot_id=1,
        bytes=2_000_000, rows=5000, ended_at=timezone.now(),
    )  # fmt: skip
    run.batches.filter(pk=batch.pk).update(created_at=timezone.now() - timedelta(seconds=10))
    page = text(browser, f"/ingestions/{ingestion.pk}/").replace("\u00a0", " ")
    assert "2 of 8" in page
    assert "2.0 MB of 8.0 MB" in page
    assert "Batch 2: writing rows" in page
    left = re.search(r"about (\d+) s\b", page)
    assert left is not None
    assert 30 <= int(left[1]) < 60, "three times what the first quarter took; a slow machine adds what it needs to ask"
    assert 'http-equiv="refresh"' in page  # for browsers without script


def test_rows_that_cannot_be_read_say_why_and_offer_to_try_again(owner: User) -> None:
    from tests.cast import make_cluster

    away = make_ingestion(owner, make_cluster(owner, url="sc://127.0.0.1:9"))
    page = text(signed_in(owner), f"/ingestions/{away.pk}/rows/", **{"HX-Request": "true"})
    assert "Try again" in page
    assert "127.0.0.1:9" in page
