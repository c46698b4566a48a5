"""What listings write down: how they were done and why, what audits found, and what edits and refreshes make of it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autoloader.lib.errors import ConfigError
from ingestions.engine.backfill import Range
from ingestions.engine.ledger import NewEntry, State
from ingestions.engine.sources.base import RemoteFile
from ingestions.models import LedgerEntry, Listing, Run
from ingestions.services import present
from ingestions.services.configuration import inactive
from ingestions.services.discovering import outlook
from ingestions.services.editing import ingestion_update
from ingestions.services.files import file_retry, file_skip
from ingestions.services.lease import Turn
from ingestions.services.recording import Recording
from ingestions.services.refresh_work import _forget as forget
from ingestions.services.starting import reopen, start_of
from tests.cast import owner
from tests.services.folder_feed import FolderFeed

__all__ = ["owner"]
LATER = timedelta(hours=25)


def let_in(feed: FolderFeed, wanted: Range) -> int:
    return reopen(ingestion=feed.ingestion, destination_key=feed.ingestion.destination_key, wanted=wanted)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def old(path: Path, **ago: float) -> None:
    at = (timezone.now() - timedelta(**ago)).timestamp()
    os.utime(path, (at, at))


def numbered(feed: FolderFeed, first: int, last: int, **ago: float) -> None:
    for number in range(first, last):
        old(feed.write(f"orders-{number:05d}.csv"), **(ago or {"hours": 1}))


def test_a_run_says_how_it_listed_and_an_audit_what_had_been_missed(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, source={"discovery": "incremental"})
    numbered(feed, 0, 20)
    _, first = feed.look()
    assert (first.listing_mode, first.listing_reason) == ("full", "nothing has been listed before")
    numbered(feed, 20, 25)
    _, second = feed.look()
    assert (second.listing_mode, second.files_total) == ("incremental", 25)
    old(feed.write("orders-00003b.csv"), hours=1)
    found, missing = feed.look()
    assert (found.recorded, missing.files_missed) == (0, 0)
    _, audit = feed.look(now=timezone.now() + LATER)
    assert (audit.listing_mode, audit.files_missed) == ("audit", 1)
    assert present.run(audit)["discovery"]["files_missed"] == 1
    told = outlook(feed.ingestion)
    assert told.missed == 1
    assert present.ingestion(feed.ingestion)["metadata"]["files_missed"] == 1


def test_incremental_discovery_is_refused_where_names_do_not_grow(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner)
    feed.write("apples.csv")
    feed.write("pears.csv")
    feed.look()
    with pytest.raises(ConfigError) as caught:
        ingestion_update(ingestion=feed.ingestion, changes={"source": {"discovery": "incremental"}}, user=owner)
    assert (caught.value.code, caught.value.field) == ("incremental_refused", "source.discovery")
    assert "apples.csv" in caught.value.message


def test_incremental_discovery_is_offered_where_names_grow(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner)
    numbered(feed, 0, 20)
    feed.look()
    edited = ingestion_update(ingestion=feed.ingestion, changes={"source": {"discovery": "incremental"}}, user=owner)
    assert any("How the source is listed" in effect for effect in edited.effects)
    assert outlook(edited.ingestion).next.mode == "incremental"
    assert not inactive(edited.ingestion.configuration())


def test_events_are_kept_with_a_warning(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, source={"discovery": "events"})
    assert inactive(feed.ingestion.configuration()) == ("source.discovery 'events' is not active yet",)


def test_a_filter_that_is_edited_judges_what_the_old_one_has_skipped(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, source={"discovery": "incremental", "exclude_pattern": "*-0000?.csv"})
    numbered(feed, 0, 20)
    feed.look()
    assert feed.states() == {("SKIPPED", "excluded"): 10, ("DISCOVERED", ""): 10}
    edited = ingestion_update(ingestion=feed.ingestion, changes={"source": {"exclude_pattern": None}}, user=owner)
    assert any("judged anew by the next run" in effect for effect in edited.effects)
    found, run = feed.look()
    assert (found.reopened, run.listing_mode, run.files_total) == (10, "full", 20)
    assert feed.states() == {("DISCOVERED", ""): 20}


def test_what_a_person_has_decided_stands_against_the_rules(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, source={"min_bytes": 100})
    numbered(feed, 0, 2)
    feed.look()
    let_in, kept_out = LedgerEntry.objects.order_by("pk")
    file_retry(file=let_in)
    file_skip(file=file_retry(file=kept_out), user=owner)
    feed.look()
    ingestion_update(ingestion=feed.ingestion, changes={"source": {"min_bytes": None}}, user=owner)
    feed.look()
    assert feed.states() == {("DISCOVERED", ""): 1, ("SKIPPED", ""): 1}


def test_only_files_that_come_from_now_on_are_loaded_where_only_new_ones_are_wanted(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, schedule={"start": "new_only"})
    old(feed.write("before.csv"), days=1)
    feed.write("after.csv")
    feed.look()
    assert feed.states() == {("SKIPPED", "before_start"): 1, ("DISCOVERED", ""): 1}
    entry = LedgerEntry.objects.get(cause="before_start")
    assert "a backfill lets it in" in entry.reason


def test_an_edit_to_new_files_only_counts_from_the_edit_on(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner)
    created = feed.ingestion.created_at
    edited = ingestion_update(ingestion=feed.ingestion, changes={"schedule": {"start": "new_only"}}, user=owner)
    start = start_of(edited.ingestion, edited.ingestion.configuration())
    assert start is not None
    assert start >= created.replace(microsecond=0)
    again = ingestion_update(ingestion=edited.ingestion, changes={"schedule": {"start": "all"}}, user=owner)
    assert start_of(again.ingestion, again.ingestion.configuration()) is None


@pytest.mark.parametrize(
    "schedule",
    [
        {"start": "from_date", "backfill": {"start_date": "2026-01-01T00:00:00Z"}},
        {"backfill": {"enabled": True, "start_date": "2026-01-01T00:00:00"}},
    ],
)
def test_files_from_a_date_on_are_wanted_in_both_forms(folder: Path, owner: User, schedule: Any) -> None:
    feed = FolderFeed(folder, owner, schedule=schedule)
    os.utime(feed.write("old.csv"), (0, 0))
    feed.write("new.csv")
    feed.look()
    assert feed.states() == {("SKIPPED", "before_start"): 1, ("DISCOVERED", ""): 1}
    assert not inactive(feed.ingestion.configuration())


def test_files_from_before_are_let_in_by_range_and_prefix(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, schedule={"start": "new_only"})
    for day in range(1, 11):
        old(feed.write(f"{'a' if day % 2 else 'b'}/{day:02d}.csv"), days=day, minutes=5)
    feed.write("a/empty.csv", "")
    feed.look()
    now = timezone.now()
    wanted = Range(now - timedelta(days=6), now - timedelta(days=2), f"file://{folder}/a/")
    assert let_in(feed, wanted) == 2
    assert let_in(feed, wanted) == 0
    waiting = LedgerEntry.objects.filter(state=State.DISCOVERED).values_list("address", flat=True)
    assert sorted(address[-8:] for address in waiting) == ["a/03.csv", "a/05.csv"]
    feed.look()
    assert feed.states()[("DISCOVERED", "")] == 2, "a listing leaves them waiting"
    assert let_in(feed, Range()) == 8
    assert feed.states() == {("DISCOVERED", ""): 10, ("SKIPPED", "empty"): 1}


def test_a_version_that_was_overwritten_since_is_not_let_in(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, schedule={"start": "new_only"})
    old(feed.write("a.csv"), days=1)
    feed.look()
    feed.write("a.csv", "id\n1\n2\n")
    feed.look()
    assert feed.states() == {("SKIPPED", "before_start"): 1, ("DISCOVERED", ""): 1}
    assert let_in(feed, Range()) == 0


def test_another_destination_has_no_last_names(folder: Path, owner: User) -> None:
    """Another destination starts with nothing known, whatever was listed for the first one."""
    feed = FolderFeed(folder, owner, source={"discovery": "incremental"})
    numbered(feed, 0, 20)
    feed.look()
    ingestion_update(ingestion=feed.ingestion, changes={"destination": {"table": "other"}}, user=owner)
    found, run = feed.look()
    assert (found.recorded, run.listing_mode) == (20, "full")
    assert Listing.objects.count() == 2


def test_a_ledger_that_a_refresh_has_forgotten_is_filled_by_a_whole_listing(folder: Path, owner: User) -> None:
    feed = FolderFeed(folder, owner, source={"discovery": "incremental"})
    numbered(feed, 0, 20)
    feed.look()
    turn = Turn(cluster_id=feed.ingestion.cluster_id, destination_key=feed.ingestion.destination_key, token="refresh")
    assert turn.take()
    forget(feed.ingestion, turn)
    found, run = feed.look()
    assert (found.recorded, run.listing_mode) == (20, "full")


def test_a_hundred_thousand_files_of_one_second_are_each_recorded_once(owner: User, folder: Path) -> None:
    feed = FolderFeed(folder, owner)
    run = Run.objects.create(ingestion=feed.ingestion)
    at = timezone.now().replace(microsecond=0)
    recording = Recording(feed.ingestion.pk, feed.ingestion.destination_key, run.pk, at)
    names = [f'it\'s "{number:06d}"\n☃.csv' for number in range(100_000)]
    entries = [NewEntry(RemoteFile(f"s3://b/{name}", "v", 1, at), State.DISCOVERED, first=True) for name in names]
    for start in range(0, len(entries), 5000):
        assert recording.record(entries[start : start + 5000]) == 5000
    assert recording.record(entries[:5000]) == 0
    assert LedgerEntry.objects.filter(ingestion=feed.ingestion, modified_at=at).count() == 100_000
    assert LedgerEntry.objects.get(address=entries[-1].file.address).remote_file() == entries[-1].file
