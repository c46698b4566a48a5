"""Files read by the folders they lie in: which folders, whatever the names, and what has gone is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloader.lib.errors import FileError
from ingestions.engine.ledger import Entry
from ingestions.engine.loader.base import LostRace
from ingestions.engine.loader.folders import CROWD, FEW, FEWEST, MOST_FOLDERS, Folders
from tests.engine.loader.feed import Feed

ODD = ["a b", "a+b", "100%", "%20", "ünï-日本", "[1]", "q?", "{a,b}", "it's", "back\\slash", "star*", "c,d", 'q"uote',
       "nb\u00a0sp", "~t", "^x`y|z", "<lt>", "k=1/#", "k=2/x", "deep/er/z", "under_score", "dot.in.it"]  # fmt: skip


def light(folder: str, limit: int) -> int:
    return 1


# ---- which folders


def addresses(folder: str, count: int = FEWEST) -> list[str]:
    return [f"{folder}f{number}.json" for number in range(count)]


def test_files_of_one_folder_are_read_by_it() -> None:
    assert Folders(light).of(addresses("s3://b/in/")) == ["s3://b/in/"]


def test_few_files_are_read_by_their_paths() -> None:
    assert Folders(light).of(addresses("s3://b/in/", FEWEST - 1)) == []


def test_files_are_read_by_their_paths_where_nobody_can_tell_what_lies_there() -> None:
    assert Folders(None).of(addresses("s3://b/in/")) == []
    assert Folders(lambda folder, limit: None).of(addresses("s3://b/in/")) == []


def test_a_crowded_folder_is_not_listed() -> None:
    files = addresses("s3://b/in/", 1000)
    assert Folders(lambda folder, limit: CROWD * 1000).of(files) == ["s3://b/in/"]
    assert Folders(lambda folder, limit: CROWD * 1000 + 1).of(files) == []


def test_folders_share_the_room() -> None:
    files = addresses("s3://b/1/") + addresses("s3://b/2/")
    assert Folders(lambda folder, limit: FEW // 2).of(files) == ["s3://b/1/", "s3://b/2/"]
    assert Folders(lambda folder, limit: FEW // 2 + 1).of(files) == []


def test_a_folder_inside_of_another_is_not_listed_twice() -> None:
    files = addresses("s3://b/in/") + addresses("s3://b/in/deep/") + addresses("s3://b/in-2/")
    assert Folders(light).of(files) == ["s3://b/in-2/", "s3://b/in/"]


def test_of_many_folders_their_common_one_is_listed() -> None:
    files = [f"s3://b/in/day={number:02d}/f.json" for number in range(FEWEST)]
    assert FEWEST > MOST_FOLDERS
    assert Folders(light).of(files) == ["s3://b/in/"]


def test_a_folder_that_spark_would_not_enter_is_never_relied_on() -> None:
    files = [f"s3://b/in/{'_' if number == 7 else ''}d{number}/f.json" for number in range(FEWEST)]
    assert Folders(light).of(files) == []
    assert Folders(light).of(addresses("s3://b/_in/")) == ["s3://b/_in/"]  # where it begins, it need not enter


def test_a_folder_is_weighed_once() -> None:
    asked: list[str] = []

    def weigh(folder: str, limit: int) -> int:
        asked.append(folder)
        return 500

    folders = Folders(weigh)
    for _ in range(3):
        assert folders.of(addresses("s3://b/in/")) == ["s3://b/in/"]
    assert asked == ["s3://b/in/"]


PARTS = st.lists(st.sampled_from(["a", "a-b", "a!", "b", "k=1"]), max_size=3)


@given(st.lists(PARTS, min_size=1, max_size=60))
def test_every_file_lies_in_exactly_one_of_the_folders(folders: list[list[str]]) -> None:
    files = [f"s3://b/{''.join(part + '/' for part in parts)}f{at}.json" for at, parts in enumerate(folders)]
    files += addresses("s3://b/a/")
    chosen = Folders(light).of(files)
    assert all(sum(file.startswith(folder) for folder in chosen) == 1 for file in files)


# ---- through Spark


def filled(feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch) -> tuple[Feed, list[Entry]]:
    """Files of odd names among others; the folder is what is read."""
    made = feed("json")
    names = [*ODD, *(f"plain{number}" for number in range(FEWEST))]
    entries = [made.json(f"{name}.json", {"id": at}, {"id": at}) for at, name in enumerate(names)]
    for name in ("_hidden.json", ".hidden.json", "not-of-the-batch.json", "_folder/x.json"):
        made.json(name, {"id": -1})
    monkeypatch.setattr(made.loader.readers, "folders", Folders(light))
    return made, entries


@pytest.mark.spark
def test_files_of_any_name_are_found_in_their_folder(
    feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, entries = filled(feed, monkeypatch)
    loaded = made.load(*entries)
    assert made.loader.readers.folders.used
    assert {address: count.rows for address, count in loaded.audit.files.items()} == {
        entry.file.address: 2 for entry in entries
    }
    assert sorted(row["id"] for row in loaded.rows) == sorted([*range(len(entries))] * 2)


@pytest.mark.spark
def test_a_file_that_has_gone_is_noticed_and_named(feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch) -> None:
    made, entries = filled(feed, monkeypatch)
    made.evolve(entries)
    (made.folder / f"{ODD[0]}.json").unlink()
    attempt = made.attempt()
    staged = made.loader.stage(entries, batch_id="b-gone", attempt=attempt)
    with pytest.raises(FileError) as caught:
        made.loader.audit(staged, attempt, entries)
    assert (caught.value.code, caught.value.path) == ("file_gone", entries[0].file.address)


@pytest.mark.spark
def test_files_that_have_all_gone_are_noticed(feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch) -> None:
    made, entries = filled(feed, monkeypatch)
    made.evolve(entries)
    for entry in entries:
        made.folder.joinpath(entry.file.address.removeprefix(f"file://{made.folder}/")).unlink()
    with pytest.raises(FileError) as caught:
        made.loader.stage(entries, batch_id="b-gone", attempt=made.attempt())
    assert caught.value.code == "file_gone"


@pytest.mark.spark
def test_files_without_a_row_are_no_loss(feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch) -> None:
    made, entries = filled(feed, monkeypatch)
    blank = made.write("blank.json", "\n \n", entries[0].shape)  # type: ignore[arg-type]  # they have one
    loaded = made.load(*entries, blank)
    assert set(loaded.audit.files) == {entry.file.address for entry in entries}


@pytest.mark.spark
def test_a_listing_that_does_not_show_a_file_is_not_believed(
    feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, entries = filled(feed, monkeypatch)
    made.evolve(entries)
    elsewhere = f"file://{made.folder}/deep/"

    class Wrong(Folders):
        def of(self, addresses: Any) -> list[str]:
            return [elsewhere] if super().of(addresses) else []

    monkeypatch.setattr(made.loader.readers, "folders", Wrong(light))
    attempt = made.attempt()
    staged = made.loader.stage(entries, batch_id="b-1", attempt=attempt)
    with pytest.raises(LostRace) as caught:
        made.loader.audit(staged, attempt, entries)
    assert caught.value.code == "files_missed"
    again = made.load(*entries, batch_id="b-2")  # by paths from now on
    assert again.audit.rows == 2 * len(entries)
