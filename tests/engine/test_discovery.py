"""What a listing leaves in the ledger, and what it says where there is nothing to load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestions.engine import config
from ingestions.engine.discovery import Discovered, discover
from ingestions.engine.ledger import Known, NewEntry, State
from ingestions.engine.sources.base import RemoteFile

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Listing:
    """A source that only lists."""

    def __init__(self, *files: RemoteFile) -> None:
        self.files = files

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        yield from self.files

    def stat(self, address: str) -> RemoteFile | None:
        return next((file for file in self.files if file.address == address), None)


class Ledger:
    """A store of which discovery uses two calls."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []
        self.pages: list[int] = []

    def known(self, addresses: Sequence[str]) -> dict[str, list[Known]]:
        found: dict[str, list[Known]] = {}
        for entry in self.entries:
            if entry.file.address in addresses:
                known = Known(entry.file.address, entry.file.version, entry.state)
                found.setdefault(entry.file.address, []).append(known)
        return found

    def record(self, entries: Sequence[NewEntry]) -> int:
        self.pages.append(len(entries))
        self.entries += entries
        return len(entries)

    def states(self) -> dict[str, tuple[State, str]]:
        return {entry.file.address.removeprefix("s3://bkt/in/"): (entry.state, entry.reason) for entry in self.entries}


def file(key: str, version: str = "1", size: int = 10, at: datetime = NOW - timedelta(hours=1)) -> RemoteFile:
    return RemoteFile(f"s3://bkt/in/{key}", version, size, at)


def run(ledger: Ledger, *files: RemoteFile, overwritten: str = "ignore", page: int = 1000, **source: Any) -> Discovered:
    made = config.Source.model_validate({"type": "s3", "path": "s3://bkt/in/", **source})
    listing: Any = Listing(*files)
    store: Any = ledger
    return discover(listing, store, made, overwritten=overwritten, now=lambda: NOW, page=page)


def test_what_is_known_is_recorded_once() -> None:
    ledger = Ledger()
    assert run(ledger, file("a.csv"), file("b.csv")).recorded == 2
    again = run(ledger, file("a.csv"), file("b.csv"))
    assert (again.listed, again.recorded) == (2, 0)
    assert "2 objects were seen, 2 known from earlier runs" in again.hint
    assert run(ledger, file("a.csv"), file("b.csv"), file("c.csv")).recorded == 1


def test_pages_keep_memory_small() -> None:
    ledger = Ledger()
    run(ledger, *(file(f"{number}.csv") for number in range(25)), page=10)
    assert ledger.pages == [10, 10, 5]


@pytest.mark.parametrize(
    ("changed", "source", "reason"),
    [
        ({"size": 0}, {}, "empty"),
        ({"size": 5}, {"min_bytes": 6}, "too small"),
        ({"size": 50}, {"max_bytes": 40}, "too large"),
        ({}, {"modified_after": NOW}, "too old"),
        ({}, {"modified_before": NOW - timedelta(days=1)}, "too new"),
        ({}, {"exclude_pattern": "a*"}, "excluded"),
    ],
)
def test_what_is_left_out_stands_in_the_ledger_with_its_reason(
    changed: dict[str, Any], source: dict[str, Any], reason: str
) -> None:
    ledger = Ledger()
    found = run(ledger, file("a.csv", **changed), **source)
    state, told = ledger.states()["a.csv"]
    assert (state, found.skipped) == (State.SKIPPED, 1)
    assert told.startswith(reason)
    assert f"Skipped: 1 {reason}" in found.hint


@pytest.mark.parametrize("key", ["_temporary/x.csv", ".hidden.csv", "_SUCCESS", "a._COPYING_"])
def test_names_that_spark_leaves_out_silently_are_named(key: str) -> None:
    ledger = Ledger()
    run(ledger, file(key), file("_year=2024/x.csv"))
    assert ledger.states()[key][1].startswith("hidden name")
    assert ledger.states()["_year=2024/x.csv"][0] is State.DISCOVERED


def test_an_overwritten_file_is_a_new_version() -> None:
    ledger = Ledger()
    ledger.entries.append(NewEntry(file("a.csv", "1"), State.LOADED))
    run(ledger, file("a.csv", "2"))
    assert [(entry.state, entry.file.version) for entry in ledger.entries] == [
        (State.LOADED, "1"),
        (State.SKIPPED, "2"),
    ]
    assert "format.overwritten" in ledger.entries[1].reason
    run(ledger, file("a.csv", "3"), overwritten="append")
    assert ledger.entries[2].state is State.DISCOVERED


def test_a_file_that_was_overwritten_before_it_was_loaded_is_loaded_as_it_is_now() -> None:
    ledger = Ledger()
    run(ledger, file("a.csv", "1"))
    run(ledger, file("a.csv", "2"))
    assert ledger.entries[1].state is State.DISCOVERED


def test_a_corrected_version_of_a_failed_file_is_loaded() -> None:
    ledger = Ledger()
    ledger.entries.append(NewEntry(file("a.csv", "1"), State.FAILED, "It is no gzip."))
    run(ledger, file("a.csv", "2"))
    assert ledger.entries[1].state is State.DISCOVERED


def test_files_that_are_still_written_wait_and_the_ledger_says_why() -> None:
    ledger = Ledger()
    found = run(ledger, file("a.csv", at=NOW - timedelta(seconds=5)), settle_seconds=60)
    state, told = ledger.states()["a.csv"]
    assert state is State.SKIPPED
    assert "had not rested 60 s" in told
    assert "1 object was left for the next run, changed less than 60 s ago" in found.hint


@pytest.mark.parametrize(
    ("key", "pattern", "advice"),
    [
        ("a.CSV", "*.csv", "Upper and lower case count"),
        ("x/a.csv", "/*.csv", "put **/ before it"),
        ("a.csv.gz", "*.csv", "need it in the pattern"),
        ("a.txt", "*.csv", "Check the pattern"),
    ],
)
def test_a_pattern_that_means_nothing_is_explained(key: str, pattern: str, advice: str) -> None:
    found = run(Ledger(), file(key), file_pattern=pattern)
    assert advice in found.hint
    assert key in found.hint


def test_an_empty_place_says_where_it_looked() -> None:
    assert "Nothing was found in s3://bkt/in/" in run(Ledger()).hint
