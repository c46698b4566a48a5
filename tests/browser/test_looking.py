"""Pages that ask the cluster: they come at once, and their answers by themselves. With the embedded Spark."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from clusters.embedded import EmbeddedServer
from ingestions.services.table import table_open
from tests.browser.conftest import NARROW, WIDE, NewVisit
from tests.services.local_feed import LocalFeed

pytestmark = pytest.mark.spark
SECONDS = 60_000


@pytest.fixture
def feed(owner: User, spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> LocalFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    made = LocalFeed(tmp_path, spark_server.url, name="Fruit")
    with table_open(ingestion=made.ingestion) as loader:  # a server that has just started takes long for the first time
        loader.state()
    made.write("1.csv", "id,name,a rather long name of a column\n1,apple,x\n2,pear,\n")
    made.write("2.csv", "id,name\n3,plum\n")
    made.write("3.csv.gz", gzip.compress(b"id,name\n4,fig\n")[:-9])
    return made


@pytest.mark.parametrize(("dark", "size"), [(False, WIDE), (True, NARROW)], ids=["light and wide", "dark and narrow"])
def test_looking_before_loading(visit: NewVisit, feed: LocalFeed, dark: bool, size: tuple[int, int]) -> None:
    person = visit(dark=dark, size=size)
    person.sign_in()
    one = f"/ingestions/{feed.ingestion.pk}/"
    for path, awaited in (
        (f"{one}preview/", "#columns"),
        (f"{one}dry-run/", "#ddl"),
        (f"{one}cost/", "#factors"),
        (f"{one}refresh/?mode=full", "form.danger"),
    ):
        page = person.go(path)
        expect(page.locator(awaited)).to_be_visible(timeout=SECONDS)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert person.faults() == [], path
        assert not person.scrolls_sideways(), path
    assert person.console == []


def test_a_text_is_previewed_beside_the_editor(visit: NewVisit, feed: LocalFeed) -> None:
    person = visit()
    person.sign_in()
    page = person.go(f"/ingestions/{feed.ingestion.pk}/edit/")
    box = page.get_by_role("textbox", name="YAML")
    box.fill(box.input_value().replace("type: csv", "type: csv\n  schema: {hints: {id: string}}"))
    page.get_by_role("button", name="Preview the rows").click()
    expect(page.locator("#columns")).to_be_visible(timeout=SECONDS)
    assert "hints: {id: string}" in box.input_value()
    assert "plum" in page.locator("#sample").inner_text()
    assert person.faults() == []
    assert person.console == []


def test_a_table_is_refreshed_after_its_name_was_typed(visit: NewVisit, feed: LocalFeed) -> None:
    feed.run()
    person = visit()
    person.sign_in()
    page = person.go(f"/ingestions/{feed.ingestion.pk}/refresh/?mode=full")
    typed = page.get_by_label("to say that its rows may be dropped")
    expect(typed).to_be_visible(timeout=SECONDS)
    typed.fill("wrong")
    page.get_by_role("button", name="Drop the table and refresh").click()
    expect(page.locator("#faults")).to_be_focused(timeout=SECONDS)
    expect(typed).to_have_value("wrong")
    assert person.faults() == []
    typed.fill(feed.ingestion.destination_key)
    page.get_by_label("Start the run").uncheck()
    page.get_by_role("button", name="Drop the table and refresh").click()
    expect(page.get_by_text("Table dropped")).to_be_visible(timeout=SECONDS)
    assert person.faults() == []
    assert person.console == []
