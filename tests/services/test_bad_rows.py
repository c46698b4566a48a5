"""Malformed rows by policy, through the embedded Spark: nothing of them is lost, and each is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from ingestions.engine.loader.loader import SparkTableLoader
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run
from ingestions.services.files import file_retry
from ingestions.services.table import table_open
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]

GOOD = "id,x\n1,a\n2,b\n"
MIXED = "id,x\n3,c\n4\n5,d\n6,e,f\n4\n"
ALL_BAD = "id,x\n7\n8,g,h\n"


@pytest.fixture
def new_feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]

    def make(bad_rows: str, **config: Any) -> LocalFeed:
        format_ = {"bad_rows": bad_rows, **config.pop("format", {})}
        return LocalFeed(tmp_path, spark_server.url, format=format_, **config)

    return make


def quarantined(feed: LocalFeed) -> list[tuple[Any, ...]]:
    """File name, line, raw text of the rows in the quarantine table."""
    with table_open(ingestion=feed.ingestion) as loader:
        assert isinstance(loader, SparkTableLoader)
        table = f"local.feeds.{feed.table}__quarantine"
        loader.spark.sql(f"REFRESH TABLE {table}")
        rows = loader.spark.table(table).collect()
    assert all(row["_reason"] and row["_batch_id"] and row["_quarantined_at"] for row in rows)
    return sorted(((row["_source_file"].rsplit("/", 1)[-1], row["_line"], row["_raw"]) for row in rows), key=repr)


def entry(feed: LocalFeed, name: str) -> LedgerEntry:
    return LedgerEntry.objects.filter(ingestion=feed.ingestion, address__endswith=f"/{name}").latest("pk")


def counts(feed: LocalFeed, name: str) -> tuple[Any, ...]:
    row = entry(feed, name)
    return row.state, row.read_rows, row.rows, row.quarantined_rows, row.dropped_rows


def write(feed: LocalFeed) -> None:
    feed.write("good.csv", GOOD)
    feed.write("mixed.csv", MIXED)
    feed.write("bad.csv", ALL_BAD)


def test_malformed_rows_go_to_the_quarantine_table_with_file_line_reason_and_text(new_feed: NewFeed) -> None:
    feed = new_feed("quarantine")
    write(feed)
    run = feed.run()
    assert feed.rows("id", "x") == [(1, "a"), (2, "b"), (3, "c"), (5, "d")]
    assert quarantined(feed) == [
        ("bad.csv", 2, "7"), ("bad.csv", 3, "8,g,h"), ("mixed.csv", 3, "4"), ("mixed.csv", 5, "6,e,f"),
        ("mixed.csv", 6, "4"),
    ]  # fmt: skip
    assert counts(feed, "good.csv") == ("LOADED", None, 2, None, None)
    assert counts(feed, "mixed.csv") == ("LOADED", 5, 2, 3, 0)
    assert counts(feed, "bad.csv") == ("QUARANTINED", 2, 0, 2, 0)
    assert (run.status, run.files_loaded, run.rows_done, run.rows_quarantined) == ("success", 3, 4, 5)
    assert feed.verify().ok
    assert feed.run().files_loaded == 0
    assert feed.ingestion.rows_loaded == 4


def test_a_quarantined_file_is_loaded_anew_by_a_retry_or_a_corrected_version(new_feed: NewFeed) -> None:
    """With the default for files that change: of a file without a well-formed row nothing is in the table."""
    feed = new_feed("quarantine")
    write(feed)
    feed.run()
    file_retry(file=entry(feed, "bad.csv"))
    assert feed.run().rows_quarantined == 2
    assert [row for row in quarantined(feed) if row[0] == "bad.csv"] == [("bad.csv", 2, "7"), ("bad.csv", 3, "8,g,h")]
    assert feed.verify().ok
    feed.write("bad.csv", "id,x\n7,g\n8\n9,h\n")
    feed.run()
    versions = LedgerEntry.objects.filter(ingestion=feed.ingestion, address__endswith="/bad.csv").order_by("pk")
    assert [(row.state, row.rows, row.quarantined_rows) for row in versions] == [
        ("SUPERSEDED", 0, 2), ("LOADED", 2, 1),
    ]  # fmt: skip
    assert [row for row in quarantined(feed) if row[0] == "bad.csv"] == [("bad.csv", 3, "8")]
    assert feed.verify().ok


def test_dropped_rows_are_counted_for_each_file(new_feed: NewFeed) -> None:
    feed = new_feed("drop")
    write(feed)
    run = feed.run()
    assert feed.rows("id") == [(1,), (2,), (3,), (5,)]
    assert counts(feed, "mixed.csv") == ("LOADED", 5, 2, 0, 3)
    assert counts(feed, "bad.csv") == ("LOADED", 2, 0, 0, 2)
    assert (run.status, run.rows_done, run.rows_dropped) == ("success", 4, 5)
    assert feed.verify().ok


@pytest.mark.parametrize(
    ("limit", "failed"), [(None, {"mixed.csv", "bad.csv"}), (2, {"mixed.csv"}), ("60%", {"bad.csv"})]
)
def test_a_file_with_too_many_malformed_rows_fails_and_others_keep_theirs(
    new_feed: NewFeed, limit: Any, failed: set[str]
) -> None:
    feed = new_feed("fail", format={"bad_rows_limit": limit})
    write(feed)
    run = feed.run()
    assert {name for name, state in feed.states().items() if state == "FAILED"} == failed
    assert run.status == "partial"
    # a quick look, a careful one, and one without the files that failed
    assert Attempt.objects.filter(batch__run=run).count() == 3
    if "mixed.csv" in failed:
        assert "3 of its 5 rows are malformed" in entry(feed, "mixed.csv").reason
        assert "'4' in line 3" in entry(feed, "mixed.csv").reason
    assert feed.verify().ok


def test_json_lines_are_quarantined_with_their_reason(new_feed: NewFeed) -> None:
    feed = new_feed("quarantine", format={"type": "json"})
    feed.write("a.json", '{"id": 1}\n{"id": 2,}\n\n{"id": 3, "id": 4}\n{"id": 5}\n')
    run = feed.run()
    assert feed.rows("id") == [(1,), (5,)]
    assert quarantined(feed) == [("a.json", 2, '{"id": 2,}'), ("a.json", 4, '{"id": 3, "id": 4}')]
    assert (run.rows_done, run.rows_quarantined) == (2, 2)
    assert feed.verify().ok


def test_a_merge_quarantines_what_it_does_not_merge(new_feed: NewFeed) -> None:
    feed = new_feed("quarantine", destination={"write_mode": "merge", "merge_keys": ["id"], "order_by": "x"})
    write(feed)
    run = feed.run()
    assert feed.rows("id", "x") == [(1, "a"), (2, "b"), (3, "c"), (5, "d")]
    assert (run.rows_quarantined, len(quarantined(feed))) == (5, 5)
    assert feed.verify().ok


@pytest.mark.parametrize("after", ["quarantine", "publish"])
def test_a_crash_between_the_two_tables_leaves_each_row_once(
    new_feed: NewFeed, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """The worker dies after one of the two commits; the next run goes on, under another policy even."""
    feed = new_feed("quarantine")
    write(feed)
    whole = getattr(SparkTableLoader, after)

    def dying(self: SparkTableLoader, *args: Any, **kwargs: Any) -> Any:
        whole(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SparkTableLoader, after, dying)
        with pytest.raises(KeyboardInterrupt):
            feed.run()
    crashed = Run.objects.get(ingestion=feed.ingestion)
    assert len(quarantined(feed)) == 5
    Run.objects.filter(pk=crashed.pk).update(status="failed", lease_token="", lease_holder="", lease_expires_at=None)
    Ingestion.objects.filter(pk=feed.ingestion.pk).update(status="draft")
    run = feed.run()
    assert (run.status, run.rows_done, run.rows_quarantined) == ("success", 4, 5)
    assert len(quarantined(feed)) == 5
    assert feed.rows("id") == [(1,), (2,), (3,), (5,)]
    assert feed.verify().ok
    assert Batch.objects.filter(ingestion=feed.ingestion).count() == 1


def test_rows_of_a_batch_that_is_given_back_are_swept_from_quarantine(
    new_feed: NewFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = new_feed("quarantine")
    write(feed)
    put = SparkTableLoader.quarantine

    def cancelling(self: SparkTableLoader, *args: Any, **kwargs: Any) -> Any:
        result = put(self, *args, **kwargs)
        Run.objects.filter(ingestion=feed.ingestion, status="running").update(cancel_requested_at="2026-01-01T00:00Z")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(SparkTableLoader, "quarantine", cancelling)
        assert feed.run().status == "cancelled"
    assert set(feed.states().values()) == {"DISCOVERED"}
    for name in ("mixed.csv", "bad.csv"):
        (feed.folder / name).unlink()
    assert feed.run().status == "partial"
    assert quarantined(feed) == []
    assert feed.verify().ok
