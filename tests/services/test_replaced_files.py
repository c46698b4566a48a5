"""Files that change after they were loaded: ignored, added, or put in the place of what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoloader.lib.errors import AutoloaderError
from clusters.embedded import EmbeddedServer
from ingestions.engine.loader.loader import SparkTableLoader
from ingestions.models import Batch, Ingestion, LedgerEntry, Run
from ingestions.services import execution
from ingestions.services.table import table_open
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]


@pytest.fixture
def new_feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]

    def make(overwritten: str, **config: Any) -> LocalFeed:
        format_ = {"overwritten": overwritten, **config.pop("format", {})}
        return LocalFeed(tmp_path, spark_server.url, format=format_, **config)

    return make


def versions(feed: LocalFeed, name: str) -> list[tuple[str, int | None]]:
    rows = LedgerEntry.objects.filter(ingestion=feed.ingestion, address__endswith=f"/{name}").order_by("pk")
    return [(row.state, row.rows) for row in rows]


def test_a_later_version_takes_the_place_of_the_rows_of_the_earlier_one(new_feed: NewFeed) -> None:
    feed = new_feed("replace")
    feed.write("a.csv", "id,x\n1,old\n2,old\n")
    feed.write("b.csv", "id,x\n3,b\n")
    feed.run()
    with table_open(ingestion=feed.ingestion) as loader:  # rows of somebody else that name our file
        assert isinstance(loader, SparkTableLoader)
        address = f"file://{feed.folder}/a.csv"
        values = f"9, 'foreign', '{address}', NULL, NULL, NULL, NULL"
        loader.spark.sql(f"INSERT INTO {loader.table} VALUES ({values})")
    feed.write("a.csv", "id,x\n1,newer\n")
    feed.write("c.csv", "id,x\n4,c\n")
    run = feed.run()
    assert (run.status, run.files_loaded, run.rows_done) == ("success", 2, 2)
    assert feed.rows("id", "x") == [(1, "newer"), (3, "b"), (4, "c"), (9, "foreign")]
    assert versions(feed, "a.csv") == [("SUPERSEDED", 2), ("LOADED", 1)]
    assert (feed.ingestion.files_loaded, feed.ingestion.rows_loaded) == (3, 3)
    found = feed.verify()
    assert (found.ok, found.foreign_rows) == (True, 1)
    earlier = LedgerEntry.objects.filter(ingestion=feed.ingestion, state="SUPERSEDED").get()
    assert str(Batch.objects.get(run=run).pk) in earlier.reason
    assert feed.run().files_loaded == 0


def test_of_two_versions_that_wait_the_latest_is_loaded_and_a_version_without_rows_empties_its_file(
    new_feed: NewFeed,
) -> None:
    feed = new_feed("replace", format={"bad_rows": "quarantine"})
    feed.write("a.csv", "id,x\n1,one\n2\n")
    feed.write("b.csv", "id,x\n3,b\n")
    feed.run()
    feed.write("a.csv", "id,x\n1,second\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execution, "loader_open", _unavailable)
        assert feed.run().status == "failed"
    feed.write("a.csv", "id,x\n1,the third\n")
    feed.run()
    assert versions(feed, "a.csv") == [("SUPERSEDED", 1), ("SKIPPED", None), ("LOADED", 1)]
    assert feed.rows("id", "x") == [(1, "the third"), (3, "b")]
    feed.write("a.csv", "id,x\nnothing right\n")
    run = feed.run()
    assert (run.status, run.rows_quarantined) == ("success", 1)
    assert feed.rows("id", "x") == [(3, "b")]
    assert versions(feed, "a.csv")[-2:] == [("SUPERSEDED", 1), ("QUARANTINED", 0)]
    assert feed.verify().ok


def _unavailable(**_: Any) -> Any:
    raise AutoloaderError("no", "The cluster is away.")


@pytest.mark.parametrize("overwritten", ["ignore", "append"])
def test_a_later_version_is_ignored_or_added(new_feed: NewFeed, overwritten: str) -> None:
    feed = new_feed(overwritten)
    feed.write("a.csv", "id\n1\n")
    feed.run()
    feed.write("a.csv", "id\n1\n2\n")
    feed.run()
    added = overwritten == "append"
    assert feed.rows("id") == ([(1,), (1,), (2,)] if added else [(1,)])
    assert versions(feed, "a.csv") == [("LOADED", 1), ("LOADED", 2) if added else ("SKIPPED", None)]
    assert feed.verify().ok


def test_a_replacement_that_was_published_before_a_crash_is_found(
    new_feed: NewFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = new_feed("replace")
    feed.write("a.csv", "id\n1\n2\n")
    feed.run()
    feed.write("a.csv", "id\n3\n")
    publish = SparkTableLoader.publish

    def dying(self: SparkTableLoader, *args: Any, **kwargs: Any) -> None:
        publish(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SparkTableLoader, "publish", dying)
        with pytest.raises(KeyboardInterrupt):
            feed.run()
    Run.objects.filter(ingestion=feed.ingestion, status="running").update(
        status="failed", lease_token="", lease_holder="", lease_expires_at=None
    )
    Ingestion.objects.filter(pk=feed.ingestion.pk).update(status="draft")
    feed.run()
    assert feed.rows("id") == [(3,)]
    assert versions(feed, "a.csv") == [("SUPERSEDED", 2), ("LOADED", 1)]
    assert feed.verify().ok
