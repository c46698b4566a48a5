"""Files with the content of others that are loaded, found when that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from ingestions.engine.loader.loader import SparkTableLoader
from ingestions.models import LedgerEntry
from ingestions.services.files import file_retry
from tests.services.local_feed import LocalFeed
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]


@pytest.fixture
def new_feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]

    def make(**format_: Any) -> LocalFeed:
        return LocalFeed(tmp_path, spark_server.url, format={"dedupe_content": True, **format_})

    return make


def entry(feed: LocalFeed, name: str) -> LedgerEntry:
    return LedgerEntry.objects.filter(ingestion=feed.ingestion, address__endswith=f"/{name}").latest("pk")


def test_the_same_content_under_another_name_is_loaded_once(new_feed: NewFeed) -> None:
    """In one run, in a later one, and only where the bytes are the same, not the size alone."""
    feed = new_feed()
    feed.write("a.csv", "id,x\n1,a\n")
    feed.write("b.csv", "id,x\n1,a\n")
    feed.write("c.csv", "id,x\n2,c\n")
    run = feed.run()
    assert feed.states() == {"a.csv": "LOADED", "b.csv": "SKIPPED", "c.csv": "LOADED"}
    assert entry(feed, "b.csv").reason.startswith(f"duplicate of {entry(feed, 'a.csv').address}")
    assert entry(feed, "b.csv").duplicate_of == entry(feed, "a.csv")
    assert (run.status, run.files_loaded, run.files_skipped) == ("success", 2, 1)
    feed.write("d.csv", "id,x\n2,c\n")
    feed.write("e.csv", "id,x\n3,c\n")
    feed.run()
    assert feed.rows("id") == [(1,), (2,), (3,)]
    assert feed.states()["d.csv"] == "SKIPPED"
    file_retry(file=entry(feed, "b.csv"))
    assert feed.run().files_skipped == 1
    assert feed.states()["b.csv"] == "SKIPPED"
    assert feed.verify().ok


def test_a_duplicate_is_loaded_where_the_rows_of_the_original_are_replaced(new_feed: NewFeed) -> None:
    feed = new_feed(overwritten="replace")
    feed.write("a.csv", "id,x\n1,a\n")
    feed.write("b.csv", "id,x\n1,a\n")
    feed.run()
    feed.write("a.csv", "id,x\n2,other\n")
    feed.run()
    assert feed.rows("id") == [(1,), (2,)]
    assert feed.states() == {"a.csv": "LOADED", "b.csv": "LOADED"}
    assert feed.verify().ok


def test_a_duplicate_takes_the_turn_of_an_original_that_vanishes_before_it_is_loaded(
    new_feed: NewFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = new_feed()
    original = feed.write("a.csv", "id,x\n1,a\n")
    feed.write("b.csv", "id,x\n1,a\n")
    feed.write("c.csv", "id,x\n22,c\n")
    stage = SparkTableLoader.stage

    def late(self: SparkTableLoader, *args: Any, **kwargs: Any) -> Any:
        original.unlink(missing_ok=True)
        return stage(self, *args, **kwargs)

    monkeypatch.setattr(SparkTableLoader, "stage", late)
    run = feed.run()
    assert run.status == "partial"
    assert feed.states() == {"a.csv": "FAILED", "b.csv": "LOADED", "c.csv": "LOADED"}
    assert feed.rows("id") == [(1,), (22,)]


@pytest.mark.cloud
def test_the_checksum_of_the_store_tells_duplicates_without_reading_them(
    spark_server: EmbeddedServer, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: Any) -> Any:
        raise AssertionError("nothing has to be read to compare these")

    monkeypatch.setattr(SparkTableLoader, "hashes", unwanted)
    bucket = s3_server.create_bucket()
    for key, text in (("a.csv", "id\n1\n"), ("b.csv", "id\n1\n"), ("c.csv", "id\n2\n")):
        s3_server.put(bucket, f"in/{key}", text.encode())
    source = {"type": "s3", "path": f"s3://{bucket}/in/", "credentials": s3_server.credentials()}
    feed = LocalFeed(tmp_path, spark_server.url, source=source, format={"dedupe_content": True})
    feed.run()
    assert feed.states() == {"a.csv": "LOADED", "b.csv": "SKIPPED", "c.csv": "LOADED"}
    assert feed.rows("id") == [(1,), (2,)]
