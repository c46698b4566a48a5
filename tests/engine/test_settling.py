"""Files that are not whole yet, and files that an edited rule judges anew: one row a file, always with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingestions.engine.discovery import Discovered
from ingestions.engine.ledger import State
from tests.engine.bucket import BEGIN, Bucket, look
from tests.engine.memory import Ledger, MemoryStore


class Feed:
    """A bucket and its ledger, listed as a whole each time."""

    def __init__(self, **source: Any) -> None:
        self.bucket = Bucket()
        self.ledger = Ledger()
        self.source = {"discovery": "full", **source}

    def look(self, **more: Any) -> Discovered:
        store = MemoryStore(self.ledger, lambda step: None, lambda: self.bucket.now)
        return look(self.bucket, store, **{**self.source, **more})

    def rows(self) -> list[tuple[str, str, str]]:
        """(key, state, cause) in the order in which they came."""
        rows = self.ledger.rows.values()
        return [(row.file.address.removeprefix("s3://bkt/in/"), row.state.value, row.cause) for row in rows]


def test_a_file_is_loaded_once_it_has_rested() -> None:
    feed = Feed(settle_seconds=60)
    feed.bucket.put("a.csv")
    feed.look()
    assert feed.rows() == [("a.csv", "SKIPPED", "settling")]
    feed.bucket.wait(seconds=61)
    assert feed.look().reopened == 1
    assert feed.rows() == [("a.csv", "DISCOVERED", "")]


def test_a_file_that_is_written_for_hours_has_one_row() -> None:
    feed = Feed(settle_seconds=60)
    for size in range(1, 50):
        feed.bucket.put("a.csv", size=size)
        feed.look()
        feed.bucket.wait(seconds=30)
    assert feed.rows() == [("a.csv", "SKIPPED", "settling")]
    feed.bucket.wait(seconds=60)
    feed.look()
    assert feed.rows() == [("a.csv", "DISCOVERED", "")]
    assert feed.ledger.rows[1].file.size_bytes == 49


def test_a_file_may_have_to_look_the_same_twice() -> None:
    feed = Feed(two_looks=True)
    feed.bucket.put("a.csv", size=5)
    feed.look()
    assert feed.rows() == [("a.csv", "SKIPPED", "unstable")]
    feed.bucket.wait(seconds=5)
    feed.bucket.put("a.csv", size=6)
    feed.look()
    assert feed.rows() == [("a.csv", "SKIPPED", "unstable")], "it has grown"
    feed.look()
    assert feed.rows() == [("a.csv", "SKIPPED", "unstable")], "two looks in one second are one"
    feed.bucket.wait(seconds=5)
    feed.look()
    assert feed.rows() == [("a.csv", "DISCOVERED", "")]


@pytest.mark.parametrize(
    "key", ["a.csv.tmp", "b/a.csv.PART", "a.csv.crc", "a.filepart", "a.csv~", "a.crdownload", "a.json.inprogress"]
)
def test_names_of_files_that_are_being_written_are_left_alone(key: str) -> None:
    feed = Feed()
    feed.bucket.put(key)
    feed.look()
    assert feed.rows() == [(key, "SKIPPED", "temporary")]
    feed.look(temporary_names="load")
    assert feed.rows() == [(key, "DISCOVERED", "")]


def test_a_temporary_name_that_the_pattern_asks_for_is_meant() -> None:
    feed = Feed(file_pattern="*.part")
    feed.bucket.put("a.part")
    feed.look()
    assert feed.rows() == [("a.part", "DISCOVERED", "")]


def test_files_wait_for_the_marker_of_their_folder() -> None:
    feed = Feed(await_marker="_SUCCESS", file_pattern="*.csv")
    feed.bucket.put("day=1/a.csv", "day=2/a.csv", "day=1/_SUCCESS")
    found = feed.look()
    assert feed.rows() == [("day=1/a.csv", "DISCOVERED", ""), ("day=2/a.csv", "SKIPPED", "unmarked")]
    assert "there is no _SUCCESS in their folder yet" in found.hint
    feed.bucket.put("day=2/_SUCCESS")
    feed.look()
    assert feed.rows()[1] == ("day=2/a.csv", "DISCOVERED", "")


def test_a_marker_above_the_folder_counts_for_it() -> None:
    feed = Feed(await_marker="_SUCCESS", file_pattern="*.csv")
    feed.bucket.put("out/day=1/a.csv", "out/_SUCCESS", "other/b.csv")
    feed.look()
    assert feed.rows() == [("other/b.csv", "SKIPPED", "unmarked"), ("out/day=1/a.csv", "DISCOVERED", "")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"exclude_pattern": "a*"}, {}),
        ({"min_bytes": 11}, {"min_bytes": 10}),
        ({"max_bytes": 9}, {"max_bytes": None}),
        ({"modified_after": BEGIN + timedelta(seconds=1)}, {"modified_after": BEGIN}),
        ({"modified_before": BEGIN}, {"modified_before": BEGIN + timedelta(seconds=1)}),
        ({"start": BEGIN + timedelta(days=1)}, {"start": None}),
    ],
)
def test_a_rule_that_is_edited_judges_what_the_old_one_has_skipped(old: dict[str, Any], new: dict[str, Any]) -> None:
    feed = Feed()
    feed.bucket.put("a.csv")
    feed.look(**old)
    assert feed.rows()[0][1] == "SKIPPED"
    feed.look(**new)
    assert feed.rows() == [("a.csv", "DISCOVERED", "")]


def test_a_file_that_another_rule_skips_now_says_so() -> None:
    feed = Feed()
    feed.bucket.put("a.csv")
    feed.look(min_bytes=11)
    feed.look(exclude_pattern="a*")
    assert feed.rows() == [("a.csv", "SKIPPED", "excluded")]
    assert feed.ledger.rows[1].reason == "excluded"


def test_what_a_person_has_skipped_stays_skipped() -> None:
    feed = Feed()
    feed.bucket.put("a.csv")
    feed.look(min_bytes=11)
    feed.ledger.rows[1].cause = ""  # as a person's word has none
    feed.look()
    assert feed.ledger.rows[1].state is State.SKIPPED


def test_only_files_from_the_start_on_are_wanted() -> None:
    feed = Feed()
    feed.bucket.put("old.csv", at=BEGIN - timedelta(seconds=1))
    feed.bucket.put("new.csv", at=BEGIN)
    feed.look(start=BEGIN)
    assert feed.rows() == [("new.csv", "DISCOVERED", ""), ("old.csv", "SKIPPED", "before_start")]
