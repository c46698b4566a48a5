"""A range of the source at any time. The listing needs no cluster; one test loads the rows."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from autoloader.lib.errors import ConfigError
from clusters.embedded import EmbeddedServer
from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry, Run
from ingestions.services.backfill import backfill_start
from ingestions.services.execution import run_to_end, run_work
from ingestions.services.runs import RunActive, run_retry, run_start
from tests.services.local_feed import LocalFeed

pytestmark = pytest.mark.django_db(transaction=True)

MONTHS = {1: "old/jan.csv", 2: "old/feb.csv", 3: "mar.csv"}


def make(folder: Path, url: str) -> LocalFeed:
    """A file a month of 2025, of which those from March on are wanted."""
    feed = LocalFeed(folder, url, source={"modified_after": "2025-03-01T00:00:00Z", "file_pattern": "**/*.csv"})
    for month, name in MONTHS.items():
        at = datetime(2025, month, 15, tzinfo=UTC).timestamp()
        os.utime(feed.write(name, f"id\n{month}\n"), (at, at))
    return feed


@pytest.fixture
def feed(settings: Any, tmp_path: Path) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return make(tmp_path / "feed", "sc://127.0.0.1:1")


def listed(run: Run) -> Run:
    """Worked on as far as it comes without a cluster: the source is listed."""
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.discovered_at is not None, run.phase
    Run.objects.filter(pk=run.pk).update(status="failed", lease_token="", resume_at=None)
    return run


def waiting(feed: LocalFeed) -> set[str]:
    return {name for name, state in feed.states().items() if state in (State.DISCOVERED, State.CLAIMED)}


def test_files_left_out_for_their_time_wait_again(feed: LocalFeed) -> None:
    listed(run_start(ingestion=feed.ingestion))
    assert (feed.states()["jan.csv"], waiting(feed)) == ("SKIPPED", {"mar.csv"})
    run = backfill_start(ingestion=feed.ingestion, modified_after=datetime(2025, 2, 1, tzinfo=UTC), user=feed.owner)
    assert (run.trigger, run.backfill) == (
        "backfill",
        {"modified_after": "2025-02-01T00:00:00Z", "modified_before": None, "prefix": None},
    )
    listed(run)
    assert waiting(feed) == {"feb.csv", "mar.csv"}
    listed(run_start(ingestion=feed.ingestion))
    assert waiting(feed) == {"feb.csv", "mar.csv"}, "the next run forgets none of it"


def test_files_not_seen_yet_are_found_and_others_are_not_looked_at(feed: LocalFeed) -> None:
    run = listed(backfill_start(ingestion=feed.ingestion, prefix="old/j"))
    assert set(feed.states()) == waiting(feed) == {"jan.csv"}
    assert run.files_total == 1


def test_what_was_left_out_for_another_reason_stays_so(feed: LocalFeed) -> None:
    feed.write("old/.hidden.csv", "id\n1\n")
    feed.write("old/empty.csv", "")
    listed(run_start(ingestion=feed.ingestion))
    listed(backfill_start(ingestion=feed.ingestion, modified_after=datetime(2020, 1, 1, tzinfo=UTC)))
    assert feed.states()["empty.csv"] == feed.states()[".hidden.csv"] == "SKIPPED"
    assert waiting(feed) == {"jan.csv", "feb.csv", "mar.csv"}


def test_a_range_without_files_says_so(feed: LocalFeed) -> None:
    run = backfill_start(ingestion=feed.ingestion, modified_before=datetime(2001, 1, 1, tzinfo=UTC))
    run_work(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "success"
    assert run.hint == "The source has no file of the range: files modified before 2001-01-01 00:00 UTC."
    assert not LedgerEntry.objects.exists()


def test_a_retry_of_a_backfill_is_one_of_the_same_range(feed: LocalFeed) -> None:
    run = backfill_start(ingestion=feed.ingestion, prefix="old/j")
    Run.objects.filter(pk=run.pk).update(status="failed")
    listed(run_retry(run=run, user=feed.owner))
    assert set(feed.states()) == waiting(feed) == {"jan.csv"}


def test_one_run_at_a_time(feed: LocalFeed) -> None:
    backfill_start(ingestion=feed.ingestion, prefix="old/")
    with pytest.raises(RunActive):
        backfill_start(ingestion=feed.ingestion, prefix="old/")
    with pytest.raises(ConfigError, match="not said which"):
        backfill_start(ingestion=feed.ingestion)


@pytest.mark.spark
def test_its_rows_are_loaded_once(spark_server: EmbeddedServer, settings: Any, tmp_path: Path) -> None:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    feed = make(tmp_path / "feed", spark_server.url)
    assert feed.run().files_loaded == 1
    run = backfill_start(ingestion=feed.ingestion, modified_after=datetime(2025, 1, 1, tzinfo=UTC))
    assert run_to_end(run_id=str(run.pk), timeout=240).files_loaded == 2
    assert feed.rows("id") == [(1,), (2,), (3,)]
    assert feed.verify().ok
