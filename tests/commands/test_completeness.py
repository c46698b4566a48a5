"""``manage.py ingestion completeness``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry
from tests.commands.support import manage
from tests.services.folder_feed import FolderFeed


@pytest.fixture
def folder_feed(tmp_path: Path, settings: Any, superuser: User) -> FolderFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    return FolderFeed(tmp_path / "in", superuser)


def test_every_object_is_told_by_what_became_of_it(folder_feed: FolderFeed) -> None:
    folder_feed.write("a.csv")
    folder_feed.write("b.csv.tmp")
    folder_feed.look()
    LedgerEntry.objects.filter(state=State.DISCOVERED).update(state=State.LOADED)
    done = manage("ingestion", "completeness", "feed")
    assert done.code == 0, done.err
    for part in ("loaded", "temporary names", "in the source, in all", "Each of 2 objects has its state", "is full"):
        assert part in done.out


def test_what_is_missing_is_named_and_the_exit_code_tells(folder_feed: FolderFeed) -> None:
    folder_feed.write("a.csv")
    done = manage("ingestion", "completeness", "feed")
    assert done.code != 0
    assert f"Not discovered yet: file://{folder_feed.folder}/a.csv" in done.out
    found = json.loads(manage("ingestion", "completeness", "feed", "--json").out)
    assert (found["result"]["not_discovered"], found["discovery"]["mode"]) == (1, "full")
