from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from ingestions.models import Census
from ingestions.services import census as counting
from tests.cast import Api, caller, person
from tests.services.folder_feed import FolderFeed


@pytest.fixture
def feed(transactional_db: None, tmp_path: Path, settings: Any) -> FolderFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    return FolderFeed(tmp_path / "in", person("keeper"), source={"file_pattern": "*.csv"})


@pytest.fixture
def as_keeper(feed: FolderFeed) -> Api:
    return caller(feed.ingestion.owner, "read")


def test_objects_by_state_add_up_to_the_buckets_own_count(feed: FolderFeed, as_keeper: Api) -> None:
    feed.write("a.csv")
    feed.write("a.txt")
    feed.look()
    feed.write("b.csv")
    body = as_keeper.get(f"/ingestions/{feed.ingestion.pk}/completeness").json()
    assert (body["status"], body["objects_counted"], body["error"]) == ("done", 3, None)
    result = body["result"]
    assert result["groups"] == [
        {"state": "DISCOVERED", "cause": "", "words": "waiting for a run", "objects": 1, "bytes": 5}
    ]
    assert (result["not_discovered"], result["not_matched"], result["objects"], result["adds_up"]) == (1, 1, 3, True)
    assert (body["discovery"]["mode"], body["discovery"]["files_missed"]) == ("full", 0)


def test_a_count_that_has_just_ended_is_shown_again_unless_another_is_asked_for(
    feed: FolderFeed, as_keeper: Api
) -> None:
    address = f"/ingestions/{feed.ingestion.pk}/completeness"
    first = as_keeper.get(address).json()
    feed.write("a.csv")
    assert as_keeper.get(address).json() == {**first, "seconds": first["seconds"]}
    assert as_keeper.get(address, anew=True).json()["objects_counted"] == 1


def test_a_count_that_takes_long_shows_how_far_it_is(
    feed: FolderFeed, as_keeper: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    real = counting.census_take

    def slow(*, ingestion: Any, tell: Any, should_stop: Any) -> dict[str, Any]:
        tell(7)
        assert gate.wait(30)
        return real(ingestion=ingestion, tell=tell, should_stop=should_stop)

    monkeypatch.setattr(counting, "census_take", slow)
    monkeypatch.setattr(counting.COUNTS, "deadline_seconds", 0.3)
    address = f"/ingestions/{feed.ingestion.pk}/completeness"
    for _ in range(2):  # a second caller finds the same count
        body = as_keeper.get(address).json()
        assert (body["status"], body["objects_counted"], body["result"]) == ("counting", 7, None)
    gate.set()
    for _ in range(100):
        if as_keeper.get(address).json()["status"] == "done":
            return
        threading.Event().wait(0.1)
    raise AssertionError("the count did not end")


def test_a_count_whose_process_was_lost_is_begun_anew(feed: FolderFeed, as_keeper: Api) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    Census.objects.create(ingestion=feed.ingestion, status="counting", started_at=long_ago, updated_at=long_ago)
    assert as_keeper.get(f"/ingestions/{feed.ingestion.pk}/completeness").json()["status"] == "done"


def test_a_source_that_cannot_be_listed_is_told_with_its_reason(feed: FolderFeed, as_keeper: Api) -> None:
    feed.folder.rmdir()
    body = as_keeper.get(f"/ingestions/{feed.ingestion.pk}/completeness").json()
    assert body["status"] == "failed"
    assert "There is no folder" in body["error"]


def test_a_stranger_finds_nothing(feed: FolderFeed) -> None:
    other = caller(person("other"), "admin")
    assert other.get(f"/ingestions/{feed.ingestion.pk}/completeness").status_code == 404
