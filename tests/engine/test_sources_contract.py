"""One suite over every store: what a run relies on, wherever the files lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autoloader.lib.errors import AccessError, FileError
from ingestions.engine import config
from ingestions.engine.discovery import Before, Discovered, discover
from ingestions.engine.incremental import STEP_BACK_NAMES, Memory
from ingestions.engine.sources.base import Source
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.stores import Filled, FilledBucket, FilledFolder

ODD_NAMES = [
    "plain.csv",
    "a b.csv",
    "a+b.csv",
    "100%.csv",
    "100%25.csv",
    "a%20b.csv",
    "12:30.csv",
    "a#b.csv",
    "a?b.csv",
    "a&b=c.csv",
    'it\'s "quoted".csv',
    "[1]{2}*.csv",
    "back\\slash.csv",
    "grüße-日本-🚀.csv",
    "folder with space/ünï+1%/x.csv",
]


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.cloud)])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Filled]:
    if request.param == "s3":
        server = request.getfixturevalue("s3_server")
        return lambda: FilledBucket(server)
    return lambda: FilledFolder(tmp_path)


@pytest.fixture
def store(make_store: Callable[[], Filled]) -> Filled:
    return make_store()


@pytest.fixture
def source(store: Filled) -> Iterator[Source]:
    with closing(store.open()) as opened:
        yield opened


def keys(store: Filled, source: Source, start_after: str | None = None) -> list[str]:
    return [file.address.removeprefix(store.root) for file in source.list(start_after)]


def test_an_empty_place_lists_nothing(source: Source) -> None:
    assert list(source.list()) == []


def test_every_odd_name_is_listed_as_it_is_and_can_be_read_by_its_address(store: Filled, source: Source) -> None:
    for number, name in enumerate(ODD_NAMES):
        store.put(name, f"content {number}".encode())
    listed = {file.address: file for file in source.list()}
    assert set(listed) == {store.root + name for name in ODD_NAMES}
    for number, name in enumerate(ODD_NAMES):
        address = store.root + name
        assert source.read_range(address, 0, 100) == f"content {number}".encode()
        assert source.stat(address) == listed[address]


def test_more_names_than_a_page_come_in_key_order_whole_and_again_the_same(store: Filled, source: Source) -> None:
    names = [f"part/{number:05}.csv" for number in range(1010)] + ["part.csv", "part-1.csv", "part0.csv", "Z/ü.csv"]
    store.put_many(names, b"x")
    listed = keys(store, source)
    assert listed == sorted(names, key=lambda name: name.encode())
    assert listed == keys(store, source)
    later = keys(store, source, f"{store.root}part/00999.csv")
    assert later == listed[listed.index("part/00999.csv") + 1 :]
    assert keys(store, source, f"{store.root}part/") == [name for name in listed if name > "part/"]


def test_start_after_works_for_names_that_are_not_there(store: Filled, source: Source) -> None:
    for name in ("a/1", "a/2", "a.csv", "b/1", "c"):
        store.put(name, b"x")
    assert keys(store, source, f"{store.root}a/15") == ["a/2", "b/1", "c"]
    assert keys(store, source, f"{store.root}a0") == ["b/1", "c"]
    assert keys(store, source, f"{store.root}zzz") == []


def test_a_folder_lists_only_what_lies_in_it(store: Filled) -> None:
    for name in ("in/1.csv", "in/deep/2.csv", "in.csv", "inside/3.csv"):
        store.put(name, b"x")
    for path in (f"{store.root}in/", f"{store.root}in"):
        with closing(store.open(path)) as source:
            assert keys(store, source) == ["in/1.csv", "in/deep/2.csv"]


def test_a_path_may_name_one_file(store: Filled) -> None:
    store.put("in/1.csv", b"x")
    store.put("in/1.csv.bak", b"x")
    with closing(store.open(f"{store.root}in/1.csv")) as source:
        assert keys(store, source) == ["in/1.csv"]
        assert keys(store, source, f"{store.root}in/1.csv") == []


def test_hidden_and_empty_files_are_listed_too(store: Filled, source: Source) -> None:
    store.put("_SUCCESS", b"")
    store.put(".hidden/x", b"x")
    assert keys(store, source) == [".hidden/x", "_SUCCESS"]
    assert source.read_range(f"{store.root}_SUCCESS", 0, 10) == b""
    assert source.read_range(f"{store.root}_SUCCESS", -10, 10) == b""


def test_size_and_time_are_told_and_an_overwrite_is_a_new_version(store: Filled, source: Source) -> None:
    before = datetime.now(UTC)
    store.put("x.csv", b"one")
    (first,) = source.list()
    assert (first.size_bytes, first.modified_at.utcoffset()) == (3, before.utcoffset())
    assert abs((first.modified_at - before).total_seconds()) < 30
    store.put("x.csv", b"other")
    (second,) = source.list()
    assert second.version != first.version
    assert second.size_bytes == 5
    assert source.stat(second.address) == second


def test_ranges_begin_anywhere_and_end_with_the_file(store: Filled, source: Source) -> None:
    store.put("x", bytes(range(100)))
    address = f"{store.root}x"
    assert source.read_range(address, 0, 10) == bytes(range(10))
    assert source.read_range(address, 95, 10) == bytes(range(95, 100))
    assert source.read_range(address, -10, 10) == bytes(range(90, 100))
    assert source.read_range(address, -10, 4) == bytes(range(90, 94))
    assert source.read_range(address, -1000, 1000) == bytes(range(100))
    assert source.read_range(address, 100, 10) == b""
    assert source.read_range(address, 5000, 10) == b""
    assert source.read_range(address, 0, 0) == b""


def test_a_file_deleted_meanwhile_is_this_files_fault_only(store: Filled, source: Source) -> None:
    store.put("x", b"x")
    (file,) = source.list()
    store.delete("x")
    assert source.stat(file.address) is None
    with pytest.raises(FileError) as caught:
        source.read_range(file.address, 0, 1)
    assert (caught.value.code, caught.value.path) == ("file_gone", file.address)


def test_a_name_that_only_begins_like_another_is_not_taken_for_it(store: Filled, source: Source) -> None:
    store.put("x.csv.gz", b"x")
    assert source.stat(f"{store.root}x.csv") is None


def test_a_place_that_does_not_exist_is_named(store: Filled) -> None:
    with closing(store.open_missing()) as source, pytest.raises(AccessError) as caught:
        list(source.list())
    assert caught.value.code in ("no_such_bucket", "no_such_folder")
    assert caught.value.hint


def test_a_listing_streams(store: Filled, source: Source) -> None:
    store.put("a", b"x")
    store.put("b", b"x")
    listing = source.list()
    assert next(listing).address == f"{store.root}a"
    assert next(listing).address == f"{store.root}b"
    assert next(listing, None) is None


def test_what_lies_below_a_folder_is_listed_alone(store: Filled, source: Source) -> None:
    for name in ("a/1", "a/2", "a.csv", "b/c/1", "b/c d+/2", "b/3", "ü/1"):
        store.put(name, b"x")

    def below(folder: str, after: str | None = None) -> list[str]:
        start = f"{store.root}{after}" if after else None
        return [file.address.removeprefix(store.root) for file in source.list(start, below=f"{store.root}{folder}")]

    assert below("a/") == ["a/1", "a/2"]
    assert below("a/", "a/1") == ["a/2"]
    assert below("b/") == ["b/3", "b/c d+/2", "b/c/1"]
    assert below("nowhere/") == []
    assert below("ü/") == ["ü/1"]


def test_folders_right_below_one_are_told_in_order(store: Filled, source: Source) -> None:
    for name in ("a/1", "a/deep/2", "b c+%/1", "ü/1", "file.csv"):
        store.put(name, b"x")

    def folders(below: str) -> list[str]:
        return [address.removeprefix(store.root) for address in source.folders(f"{store.root}{below}")]

    assert folders("") == ["a/", "b c+%/", "ü/"]
    assert folders("a/") == ["a/deep/"]
    assert folders("nowhere/") == []


def test_more_folders_than_a_page_are_all_told(store: Filled, source: Source) -> None:
    store.put_many([f"day={number:05}/x.csv" for number in range(1010)], b"x")
    assert len(list(source.folders(store.root))) == 1010


def test_a_listing_from_the_last_names_on_shows_few_of_thousands(store: Filled, source: Source) -> None:
    """As a run does it: the first time all, then what is new and a page of what came last."""
    store.put_many([f"orders-{number:06}.csv" for number in range(2_500)], b"x")
    ledger = Ledger()

    def look() -> Discovered:
        memory = MemoryStore(ledger, lambda step: None)
        type_ = "s3" if store.root.startswith("s3://") else "local"
        made = config.Source.model_validate({"type": type_, "path": store.root, "discovery": "incremental"})
        before = Before(Memory.from_json(memory.listing_memory()))
        found = discover(source, memory, made, now=lambda: datetime.now(UTC), before=before)
        memory.finish_discovery(listed=found.listed, end=found.end)
        return found

    assert look().recorded == 2_500
    store.put_many([f"orders-{number:06}.csv" for number in range(2_500, 2_510)], b"x")
    found = look()
    assert (found.recorded, found.end and found.end.mode) == (10, "incremental")
    assert found.listed <= STEP_BACK_NAMES + 20
    assert look().recorded == 0
