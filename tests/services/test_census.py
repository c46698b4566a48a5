"""Every object of a source is counted once, by what the ledger knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry
from ingestions.services.census import census_take
from tests.cast import owner
from tests.services.folder_feed import FolderFeed

__all__ = ["owner"]


@pytest.fixture
def feed(tmp_path: Path, settings: Any, owner: User) -> FolderFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    return FolderFeed(tmp_path / "in", owner, source={"file_pattern": "*.csv", "exclude_pattern": "no-*"})


def in_all(found: dict[str, Any]) -> int:
    others = ("not_discovered", "not_matched", "unusable_names", "left_out")
    counts: list[int] = [group["objects"] for group in found["groups"]] + [found[key] for key in others]
    return sum(counts)


def test_an_empty_source_is_complete(feed: FolderFeed) -> None:
    found = census_take(ingestion=feed.ingestion)
    assert (found["objects"], found["groups"], found["adds_up"]) == (0, [], True)
    assert "the source is empty" in found["verdict"]


def test_objects_by_state_and_reason_add_up_to_the_sources_own_count(feed: FolderFeed) -> None:
    for name in ("a.csv", "b.csv", "no-c.csv", "d.txt", 'it\'s "odd"\n☃.csv', ".hidden.csv"):
        feed.write(name)
    feed.write("empty.csv", "")
    (feed.folder / "nowhere.csv").symlink_to("/proc/1")
    feed.look()
    LedgerEntry.objects.filter(address__endswith="/a.csv").update(state=State.LOADED)
    feed.write("late.csv")
    feed.write("b.csv", "id\n1\n2\n")
    found = census_take(ingestion=feed.ingestion)
    assert {(group["state"], group["cause"]): group["objects"] for group in found["groups"]} == {
        ("LOADED", ""): 1,
        ("DISCOVERED", ""): 1,
        ("SKIPPED", "excluded"): 1,
        ("SKIPPED", "hidden"): 1,
        ("SKIPPED", "empty"): 1,
    }
    assert (found["not_discovered"], found["not_discovered_versions"], found["not_matched"]) == (2, 1, 1)
    assert (found["left_out"], found["objects"], in_all(found), found["adds_up"]) == (1, 9, 9, True)
    assert "2 objects not discovered yet (1 of them new versions of known files)" in found["verdict"]
    assert [address.rsplit("/", 1)[-1] for address in found["not_discovered_examples"]] == ["b.csv", "late.csv"]


def test_files_that_are_gone_are_told_by_their_state(feed: FolderFeed) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        feed.write(name)
    feed.look()
    LedgerEntry.objects.filter(address__endswith="/a.csv").update(state=State.LOADED)
    (feed.folder / "a.csv").unlink()
    (feed.folder / "b.csv").unlink()
    found = census_take(ingestion=feed.ingestion)
    assert found["gone"] == {"LOADED": 1, "DISCOVERED": 1}
    assert "2 files known to the ledger and gone from the source" in found["verdict"]
    assert found["adds_up"]


def test_a_source_that_was_emptied_and_filled_anew_is_told_apart(feed: FolderFeed) -> None:
    feed.write("a.csv")
    feed.look()
    (feed.folder / "a.csv").unlink()
    feed.write("b.csv")
    found = census_take(ingestion=feed.ingestion)
    assert (found["objects"], found["not_discovered"], found["gone"]) == (1, 1, {"DISCOVERED": 1})


def test_files_of_a_path_that_was_left_are_not_said_to_be_gone(feed: FolderFeed) -> None:
    feed.write("a.csv")
    feed.look()
    LedgerEntry.objects.update(address="file:///elsewhere/a.csv")
    found = census_take(ingestion=feed.ingestion)
    assert (found["elsewhere"], found["gone"], found["not_discovered"]) == (1, {}, 1)


def test_a_pattern_that_matches_nothing_leaves_objects_that_nobody_means(feed: FolderFeed) -> None:
    feed.write("a.txt")
    feed.look()
    found = census_take(ingestion=feed.ingestion)
    assert (found["objects"], found["not_matched"], found["adds_up"]) == (1, 1, True)
