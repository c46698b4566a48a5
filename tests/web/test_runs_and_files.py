from __future__ import annotations

from django.test import Client
from django.utils import timezone

from ingestions.models import Batch, Ingestion, LedgerEntry, Run
from tests.cast import make_file, make_run
from tests.web.test_ingestions import text


def test_runs_are_listed_newest_first_and_by_status(browser: Client, ingestion: Ingestion) -> None:
    good, bad = make_run(ingestion, files=1), make_run(ingestion, errors=2)
    page = text(browser, "/runs/")
    assert page.index(str(bad.pk)) < page.index(str(good.pk))
    assert str(good.pk) not in text(browser, "/runs/?status=partial")
    assert "No run is in this state" in text(browser, "/runs/?status=failed")
    assert str(good.pk) in text(browser, "/runs/?status=zebra&page=-3")
    assert str(good.pk) in text(browser, f"/ingestions/{ingestion.pk}/runs/")


def test_a_run_shows_batches_snapshots_and_each_error(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=2, errors=2)
    Batch.objects.update(ddl=["ALTER TABLE `lake`.`shop`.`orders` ADD COLUMNS (`a` bigint)"])
    page = text(browser, f"/runs/{run.pk}/")
    assert "4711" in page
    assert "s3://shop/orders/bad-1.csv" in page
    assert "ADD COLUMNS" in page
    assert "2 files could not be loaded" in page
    assert "data-poll" not in page


def test_a_failed_run_says_what_happened_what_to_do_and_what_is_safe(browser: Client, ingestion: Ingestion) -> None:
    run = Run.objects.create(
        ingestion=ingestion,
        status="failed",
        error_message="The key was refused.",
        error_hint="Enter a new one.",
        ended_at=timezone.now(),
    )
    page = text(browser, f"/runs/{run.pk}/")
    for part in ("The key was refused.", "Enter a new one.", "Nothing is lost", "Run again"):
        assert part in page


def test_a_run_can_be_stopped_once(browser: Client, ingestion: Ingestion) -> None:
    run = Run.objects.create(ingestion=ingestion, status="running", lease_token="held", started_at=timezone.now())
    page = browser.post(f"/runs/{run.pk}/cancel/", follow=True).content.decode()
    assert "The run stops" in page
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    Run.objects.update(status="cancelled", ended_at=timezone.now())
    assert "already ended" in browser.post(f"/runs/{run.pk}/cancel/", follow=True).content.decode()


def test_files_are_paged_by_the_last_one_seen(browser: Client, ingestion: Ingestion) -> None:
    for number in range(105):
        make_file(ingestion, number=number)
    first = text(browser, f"/ingestions/{ingestion.pk}/files/")
    assert "00104.csv" in first
    assert "00004.csv" not in first
    lowest = LedgerEntry.objects.order_by("-pk")[99].pk
    older = text(browser, f"/ingestions/{ingestion.pk}/files/?before={lowest}")
    assert "00004.csv" in older
    assert "00005.csv" not in older


def test_files_are_found_by_state_and_address(browser: Client, ingestion: Ingestion, run: Run) -> None:
    make_file(ingestion, number=77, state="FAILED", reason="It is no gzip.", rows=None)
    page = text(browser, f"/ingestions/{ingestion.pk}/files/?state=FAILED")
    assert "00077.csv" in page
    assert "It is no gzip." in page
    assert "00001.csv" not in page
    assert "00001.csv" in text(browser, f"/ingestions/{ingestion.pk}/files/?q=0001")
    assert "No file fits" in text(browser, f"/ingestions/{ingestion.pk}/files/?state=SKIPPED")
    assert text(browser, f"/ingestions/{ingestion.pk}/files/?state=zebra&before=x&q=%00")
    assert "00001.csv" in text(browser, f"/runs/{run.pk}/files/?state=LOADED")


def test_a_passport_tells_where_the_rows_went(browser: Client, ingestion: Ingestion, run: Run) -> None:
    file = LedgerEntry.objects.filter(run=run).latest("pk")
    LedgerEntry.objects.filter(pk=file.pk).update(address="s3://shop/orders/it's.csv")
    make_file(ingestion, number=80, address="s3://shop/orders/it's.csv", version="older", state="SUPERSEDED")
    page = text(browser, f"/files/{file.pk}/").replace("&#x27;", "'").replace("&#39;", "'")
    for part in ("4711", str(file.batch_id), "FROM `lake`.`shop`.`orders`", "it\\'s.csv", "Superseded", "etag-"):
        assert part in page
    failed = make_file(ingestion, number=81, state="FAILED", reason="It is no gzip.", rows=None, snapshot_id=None)
    page = text(browser, f"/files/{failed.pk}/")
    assert "None of its rows is in the table" in page
    assert "SELECT" not in page


def test_a_run_is_retried_where_something_failed(browser: Client, ingestion: Ingestion) -> None:
    good = make_run(ingestion, files=1)
    assert ">Retry<" not in text(browser, f"/runs/{good.pk}/")
    assert "no file left that failed" in browser.post(f"/runs/{good.pk}/retry/", follow=True).content.decode()
    bad = make_run(ingestion, errors=1)
    failed = make_file(ingestion, number=81, state="FAILED", reason="It is no gzip.", rows=None, run=bad)
    assert ">Retry<" in text(browser, f"/runs/{bad.pk}/")
    answer = browser.post(f"/runs/{bad.pk}/retry/", follow=True)
    again = Run.objects.get(retry_of=bad)
    assert answer.redirect_chain == [(f"/runs/{again.pk}/", 302)]
    assert f"/runs/{bad.pk}/" in answer.content.decode()  # what it is a retry of
    failed.refresh_from_db()
    assert failed.state == "DISCOVERED"


def test_a_run_shows_what_was_merged_and_the_query_of_its_rows(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=2)
    merge = {"read": 2000, "inserted": 1200, "updated": 500, "deleted": 3, "superseded": 297}
    Batch.objects.update(detail={"merge": merge})
    page = text(browser, f"/runs/{run.pk}/").replace("&#x27;", "'")
    assert "2,000 rows read, 1,200 inserted, 500 updated, 3 deleted, 297 superseded" in page
    assert f"_batch_id IN ('{Batch.objects.get().pk}')" in page
    assert '<svg class="timebar"' in page
    Ingestion.objects.update(destination_key="lake.shop.elsewhere")
    assert "_batch_id" not in text(browser, f"/runs/{run.pk}/")


def test_a_long_run_shows_its_last_batches(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    Batch.objects.bulk_create(
        Batch(ingestion=ingestion, run=run, destination_key="x", number=number, state="loaded")
        for number in range(2, 252)
    )
    page = text(browser, f"/runs/{run.pk}/")
    assert "Last 200 of 251 batches" in page
    assert 'id="batch-251"' in page
    assert 'id="batch-51"' not in page


def test_a_superseded_file_says_by_which_batch(browser: Client, ingestion: Ingestion) -> None:
    later = make_run(ingestion, files=1)
    batch = Batch.objects.get(run=later)
    file = make_file(ingestion, number=90, state="SUPERSEDED", reason=f"replaced by batch {batch.pk}")
    page = text(browser, f"/files/{file.pk}/")
    assert f"/runs/{later.pk}/#batch-1" in page
    other = make_file(ingestion, number=91, state="SUPERSEDED", reason="its rows were dropped with the table")
    assert "That was batch" not in text(browser, f"/files/{other.pk}/")


def test_a_batchs_files_are_listed_by_its_number(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    second = Batch.objects.create(ingestion=ingestion, run=run, destination_key="x", number=2, state="loaded", files=1)
    make_file(ingestion, run=run, number=50, batch=second)
    assert f"/runs/{run.pk}/files/?batch=2" in text(browser, f"/runs/{run.pk}/")
    page = text(browser, f"/runs/{run.pk}/files/?batch=2")
    assert "00050.csv" in page
    assert "00000.csv" not in page
    assert "00000.csv" in text(browser, f"/runs/{run.pk}/files/?batch=zebra")


def test_a_file_is_skipped_and_let_in_again(browser: Client, ingestion: Ingestion) -> None:
    failed = make_file(ingestion, number=83, state="FAILED", reason="It is no gzip.", rows=None)
    page = text(browser, f"/files/{failed.pk}/")
    assert 'id="retry"' in page
    assert 'id="skip"' in page
    answer = browser.post(f"/files/{failed.pk}/skip/", follow=True)
    page = answer.content.decode()
    assert "The file is not loaded" in page
    assert 'id="skip"' not in page
    assert "waits for the next run" in browser.post(f"/files/{failed.pk}/retry/", follow=True).content.decode()
    failed.refresh_from_db()
    assert (failed.state, failed.reason) == ("DISCOVERED", "")


def test_a_loaded_file_offers_neither(browser: Client, ingestion: Ingestion) -> None:
    loaded = make_file(ingestion, number=84)
    page = text(browser, f"/files/{loaded.pk}/")
    assert 'id="retry"' not in page
    assert 'id="skip"' not in page
    assert "LOADED" in browser.post(f"/files/{loaded.pk}/skip/", follow=True).content.decode()
