"""Dropping a table and loading it again: what it does, and what it means beforehand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from clusters.embedded import EmbeddedServer
from ingestions.models import Batch, Ingestion, LedgerEntry, Run
from ingestions.services.ledger import ledger_verify
from ingestions.services.refresh import ingestion_delete_with_table
from ingestions.services.refresh_impact import impact
from tests.engine.loader.feed import new_session
from tests.services.refresh.feed import FILES, Feed, operations

pytestmark = pytest.mark.django_db(transaction=True)
spark = pytest.mark.spark


@spark
def test_in_full_everything_is_loaded_again(feed: Feed) -> None:
    before = Batch.objects.latest("ended_at").snapshot_id
    outcome = feed.refresh("full")
    told = outcome.to_json()
    assert operations(outcome) == [
        ("table_dropped", "success"),
        ("processed_files_cleared", "success"),
        ("run_triggered", "success"),
    ]
    assert (told["status"], told["mode"], told["run_id"]) == ("accepted", "full", str(Run.objects.active().get().pk))
    assert (told["impact"]["files_to_process"], told["impact"]["files_skipped"]) == (FILES, 0)
    assert told["impact"]["estimated_cost_usd"] > 0 or told["impact"]["estimated_duration_minutes"] < 0.01
    assert any("measured" in note for note in told["notes"])
    assert "8 rows" in told["warnings"][0]
    assert feed.states() == []
    assert ledger_verify(ingestion=feed.ingestion).ok, "an empty ledger beside no table"
    run = feed.finish()
    assert (run.trigger, run.files_loaded) == ("refresh", FILES)
    feed.check_whole()
    assert Batch.objects.latest("ended_at").snapshot_id != before


@spark
def test_with_new_files_only_the_memory_stays(feed: Feed) -> None:
    outcome = feed.refresh("new_only", auto_run=False)
    told = outcome.to_json()
    assert operations(outcome) == [("table_dropped", "success")]
    assert (told["run_id"], told["impact"]["files_to_process"], told["impact"]["files_skipped"]) == (None, 0, FILES)
    assert set(feed.states()) == {"SUPERSEDED"}
    assert "refresh" in LedgerEntry.objects.latest("pk").reason
    assert ledger_verify(ingestion=feed.ingestion).ok
    assert feed.fresh().rows_loaded == 0
    run = feed.load()
    assert (run.files_loaded, feed.ids()) == (0, [])
    feed.put(0, later=60)
    feed.put(9)
    run = feed.load()
    assert (run.files_loaded, feed.ids()) == (2, [0, 0, 9, 9])
    assert ledger_verify(ingestion=feed.ingestion).ok
    assert feed.load().files_loaded == 0


@spark
def test_a_dry_run_changes_nothing(feed: Feed) -> None:
    feed.put(9)
    entries = feed.states()
    told = {mode: feed.refresh(mode, dry_run=True).to_json() for mode in ("full", "new_only")}
    assert [each["operation"] for each in told["full"]["would_perform"]] == [
        "table_dropped",
        "processed_files_cleared",
        "run_triggered",
    ]
    assert [each["operation"] for each in told["new_only"]["would_perform"]] == ["table_dropped", "run_triggered"]
    for mode, name in (("full", "full"), ("new_only", "new-only")):
        assert (told[mode]["status"], told[mode]["run_id"], told[mode]["operations"]) == ("dry_run", None, [])
        assert f"{feed.ingestion.pk}/refresh/{name}" in told[mode]["next_steps"]["to_proceed"]
        assert told[mode]["next_steps"]["to_cancel"]
    assert told["full"]["impact"]["files_to_process"] == FILES + 1
    assert (told["new_only"]["impact"]["files_to_process"], told["new_only"]["impact"]["files_skipped"]) == (1, FILES)
    assert feed.states() == entries
    assert not Run.objects.active().exists()
    feed.check_whole()


@spark
def test_what_was_never_loaded_can_be_refreshed(spark_server: EmbeddedServer, root: Path) -> None:
    feed = Feed(root, spark_server.url, "never_loaded")
    outcome = feed.refresh("full")
    assert operations(outcome)[0] == ("table_dropped", "skipped")
    assert any("assumed" in note or "this cluster" in note for note in outcome.to_json()["notes"])
    feed.finish()
    feed.check_whole()


@spark
def test_an_ingestion_is_deleted_with_its_table(feed: Feed, spark_server: EmbeddedServer) -> None:
    ingestion_delete_with_table(ingestion=feed.fresh())
    assert not Ingestion.objects.exists()
    assert not new_session(spark_server.url).catalog.tableExists(feed.table)


def test_the_impact_counts_what_a_run_would_load(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "impact", source={
        "type": "local", "path": str(root), "file_pattern": "*.csv", "exclude_pattern": "3*", "settle_seconds": 3600,
    })  # fmt: skip
    (root / "other.txt").write_text("no")
    (root / "_hidden.csv").write_text("id\n1\n")
    found = impact(ingestion=feed.ingestion, mode="full")
    assert (found.files_to_process, found.lost) == (3, 0)
    assert found.bytes_to_process == sum((root / f"{number}.csv").stat().st_size for number in range(3))


def test_time_and_money_come_from_earlier_batches_or_are_called_assumed(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "cost")
    with (root / "large.csv").open("wb") as file:
        file.truncate(60_000_000)
    found = impact(ingestion=feed.ingestion, mode="full")
    assert found.minutes == pytest.approx(3 / 60, rel=0.01)  # 60 MB at 10 MB/s for each of 2 workers
    assert found.cost == pytest.approx(3 / 3600 * 2 * 0.4, rel=0.01)
    assert "assumed, 20 MB/s" in found.notes[0]
    now = timezone.now()
    run = Run.objects.create(ingestion=feed.ingestion, status="success")
    batch = Batch.objects.create(
        ingestion=feed.ingestion, run=run, destination_key=feed.ingestion.destination_key, number=1, state="loaded",
        bytes=1_000_000, ended_at=now,
    )  # fmt: skip
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(seconds=1))
    found = impact(ingestion=feed.ingestion, mode="full")
    assert found.minutes == pytest.approx(1, rel=0.01)
    assert "1 MB/s in the last batch of this ingestion" in found.notes[0]
