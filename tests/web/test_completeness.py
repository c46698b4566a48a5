"""The page that counts what is in the source, and what a run's page says of its listing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from ingestions.models import Census, Ingestion, Run
from tests.cast import person
from tests.services.folder_feed import FolderFeed
from tests.web.conftest import signed_in
from tests.web.test_ingestions import text


@pytest.fixture
def feed(transactional_db: None, tmp_path: Path, settings: Any) -> FolderFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "in").mkdir()
    return FolderFeed(tmp_path / "in", person("keeper"), source={"exclude_pattern": "b*"})


def test_the_page_comes_at_once_and_counts_by_itself(feed: FolderFeed) -> None:
    feed.write("a.csv")
    feed.write("b.csv")
    feed.look()
    feed.write("c.csv")
    browser = signed_in(feed.ingestion.owner)
    address = f"/ingestions/{feed.ingestion.pk}/completeness/"
    shell = text(browser, address)
    assert 'hx-trigger="load"' in shell
    assert "Lists all of the source" in shell
    assert not Census.objects.exists(), "nothing is counted before the page asks"
    page = text(browser, f"{address}?look=1", **{"HX-Request": "true"})
    for part in (
        "excluded by the pattern",
        "waiting for a run",
        "not discovered yet",
        "c.csv",
        "in the source, in all",
    ):
        assert part in page, part
    assert "<h1" not in page, "only the part that was asked for"


def test_the_progress_of_a_long_count_is_shown(browser: Client, ingestion: Ingestion) -> None:
    now = timezone.now()
    Census.objects.create(ingestion=ingestion, status="counting", listed=12_345, started_at=now, updated_at=now)
    page = text(browser, f"/ingestions/{ingestion.pk}/completeness/?look=1")
    assert "12,345 objects counted so far" in page.replace("\u202f", ",").replace("\u2009", ",")
    assert "load delay:2s" in page


def test_a_run_says_how_it_listed_and_what_was_missed(browser: Client, ingestion: Ingestion) -> None:
    run = Run.objects.create(
        ingestion=ingestion, status="success", discovered_at=timezone.now(), listing_mode="audit", files_missed=2,
        listing_reason="the last whole listing was at 2026-01-01 00:00:00 UTC",
    )  # fmt: skip
    page = text(browser, f"/runs/{run.pk}/")
    assert "2 files were found by the audit that the incremental listing had missed" in page
    assert "The last whole listing was at" in page
