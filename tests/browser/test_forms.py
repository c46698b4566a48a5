"""Forms that change things: effects first, faults by line, nobody's edit lost; with a script and without one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.services.editing import ingestion_update
from tests.browser.conftest import NARROW, WIDE, NewVisit, Visit
from tests.cast import make_run


def is_sound(person: Visit, what: str) -> None:
    assert person.faults() == [], what
    assert not person.scrolls_sideways(), what


def replace(page: Page, old: str, new: str) -> None:
    box = page.get_by_role("textbox", name="YAML")
    box.fill(box.input_value().replace(old, new))


@pytest.mark.parametrize(("dark", "size"), [(False, WIDE), (True, NARROW)], ids=["light and wide", "dark and narrow"])
def test_an_edit_goes_from_fault_to_effects_to_saved(
    visit: NewVisit, ingestion: Ingestion, owner: User, dark: bool, size: tuple[int, int]
) -> None:
    make_run(ingestion, files=1)
    person = visit(dark=dark, size=size)
    person.sign_in()
    page = person.go(f"/ingestions/{ingestion.pk}/")
    page.locator("#more summary").click()
    is_sound(person, "the menu")
    page.get_by_role("link", name="Edit", exact=True).click()
    replace(page, "type: csv", "type: cvs")
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.locator("#faults")).to_be_focused()
    is_sound(person, "faults")
    page.get_by_role("link", name="Line 8").click()
    assert page.evaluate("getSelection().toString()").strip() == "type: cvs"
    replace(page, "type: cvs", "type: csv")
    replace(page, "table: orders", "table: orders_of_a_rather_long_name_that_has_to_break_somewhere")
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_text("It starts with nothing loaded")).to_be_visible()
    is_sound(person, "effects")
    ingestion_update(ingestion=ingestion, changes={"limits": {"files_per_batch": 7}}, user=owner)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Orders was changed meanwhile")).to_be_visible()
    is_sound(person, "stale")
    page.get_by_role("button", name="Go on with yours").click()
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_text("limits.files_per_batch")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings of Orders are saved.")).to_be_visible()
    is_sound(person, "settings")
    assert person.console == []
    ingestion.refresh_from_db()
    assert ingestion.config_version == 3


def test_everything_can_be_made_changed_and_deleted_without_script(visit: NewVisit, cluster: Cluster) -> None:
    person = visit(script=False, size=NARROW)
    page = person.sign_in()
    page.get_by_role("link", name="Describe the first one").click()
    box = page.get_by_role("textbox")
    box.fill(box.input_value().replace("name: Orders", "name: Clicks\ncolour: red"))
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("colour", exact=True)).to_be_visible()
    box.fill(box.input_value().replace("colour: red\n", ""))
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Clicks is made as a draft.")).to_be_visible()
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text("Clicks is active.")).to_be_visible()
    page.locator("#more summary").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    replace(page, "*.csv*", "*.tsv")
    page.get_by_role("button", name="Show what it changes").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings of Clicks are saved.")).to_be_visible()
    page.locator("#more summary").click()
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("link", name="Read them now")).to_be_visible()
    page.go_back()
    page.locator("#more summary").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Type Clicks to confirm").fill("Clicks")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Clicks is deleted.")).to_be_visible()
    assert not Ingestion.objects.exists()


def test_an_import_shows_what_it_does_first(visit: NewVisit, ingestion: Ingestion) -> None:
    person = visit(size=NARROW)
    person.sign_in()
    page = person.go("/ingestions/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export", exact=True).click()
    text = download.value.path().read_text()
    page.get_by_role("link", name="Import").click()
    page.get_by_label("Or its text").fill(text.replace("*.csv", "*.tsv"))
    page.get_by_label("Change ingestions that are there").check()
    page.get_by_role("button", name="Show what it does").click()
    expect(page.get_by_text("Nothing is imported yet.")).to_be_visible()
    is_sound(person, "what the import does")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("1 ingestion imported.")).to_be_visible()
    assert person.console == []
    ingestion.refresh_from_db()
    assert ingestion.config["source"]["file_pattern"] == "*.tsv"


def test_the_menu_closes_when_one_is_done_with_it(visit: NewVisit, ingestion: Ingestion) -> None:
    person = visit()
    person.sign_in()
    page = person.go(f"/ingestions/{ingestion.pk}/")
    page.locator("#more summary").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Clone")).to_be_hidden()
    expect(page.locator("#more summary")).to_be_focused()
    page.locator("#more summary").click()
    page.locator("h1").click()
    expect(page.get_by_role("link", name="Clone")).to_be_hidden()


def test_an_open_menu_stays_open_while_the_page_lives(visit: NewVisit, ingestion: Ingestion) -> None:
    run = Run.objects.create(ingestion=ingestion, status="running", lease_token="held", started_at=timezone.now())
    person = visit()
    person.sign_in()
    page = person.go(f"/ingestions/{ingestion.pk}/")
    page.locator("#more summary").click()
    Run.objects.filter(pk=run.pk).update(phase="batch 3: auditing")
    expect(page.get_by_text("Batch 3: auditing")).to_be_visible(timeout=6000)
    expect(page.get_by_role("link", name="Clone")).to_be_visible()
