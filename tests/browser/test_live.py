"""Pages that change while one looks at them, and the same without script."""

from __future__ import annotations

from django.utils import timezone
from playwright.sync_api import expect

from ingestions.models import Ingestion, Run
from tests.browser.conftest import NewVisit
from tests.cast import make_run


def running(ingestion: Ingestion) -> Run:
    return Run.objects.create(
        ingestion=ingestion, status="running", lease_token="held", started_at=timezone.now(),
        discovered_at=timezone.now(), files_total=8, bytes_total=800, phase="batch 1: writing rows",
    )  # fmt: skip


def end(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(
        status="success", ended_at=timezone.now(), phase="", files_loaded=8, bytes_done=800, rows_done=4321
    )


def test_progress_moves_by_itself_and_ends_by_itself(visit: NewVisit, ingestion: Ingestion) -> None:
    run = running(ingestion)
    person = visit()
    person.sign_in()
    page = person.go(f"/ingestions/{ingestion.pk}/")
    expect(page.get_by_text("0 of 8")).to_be_visible()
    page.locator("#action").focus()
    Run.objects.filter(pk=run.pk).update(files_loaded=3, bytes_done=300, rows_done=1500, phase="batch 2: auditing")
    expect(page.get_by_text("3 of 8")).to_be_visible(timeout=6000)
    expect(page.get_by_text("Batch 2: auditing")).to_be_visible()
    expect(page.locator("#action")).to_be_focused()
    end(run)
    expect(page.get_by_role("button", name="Run now")).to_be_visible(timeout=6000)
    expect(page.locator("[data-poll]")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)  # longer than the pause between two requests was
    assert asked == []
    assert person.console == []


def test_a_person_runs_and_stops_an_ingestion(visit: NewVisit, ingestion: Ingestion) -> None:
    person = visit()
    page = person.sign_in()
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("A run of Orders is queued.")).to_be_visible()
    page.get_by_role("button", name="Stop the run").click()
    expect(page.get_by_text("The run stops.")).to_be_visible()
    assert Run.objects.get().status == "cancelled"


def test_a_server_that_does_not_answer_is_told_and_waited_for(visit: NewVisit, ingestion: Ingestion) -> None:
    run = running(ingestion)
    person = visit()
    person.sign_in()
    page = person.go(f"/runs/{run.pk}/")
    person.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible(timeout=8000)
    person.context.set_offline(False)
    end(run)
    expect(page.locator("#offline")).to_be_hidden(timeout=15_000)
    expect(page.locator(".head .badge")).to_have_text("Succeeded")


def test_signing_out_elsewhere_takes_a_live_page_to_sign_in(visit: NewVisit, ingestion: Ingestion) -> None:
    run = running(ingestion)
    person = visit()
    person.sign_in()
    page = person.go(f"/runs/{run.pk}/")
    person.context.clear_cookies()
    page.wait_for_url(f"**/signin/?next=%2Fruns%2F{run.pk}%2F")


def test_everything_works_without_script(visit: NewVisit, ingestion: Ingestion) -> None:
    person = visit(script=False)
    page = person.sign_in()
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("A run of Orders is queued.")).to_be_visible()
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    page.get_by_role("button", name="Stop the run").click()
    expect(page.get_by_text("The run stops.")).to_be_visible()
    expect(page.locator("[data-copy]:visible")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_times_are_shown_in_the_readers_zone(visit: NewVisit, ingestion: Ingestion) -> None:
    from datetime import UTC, datetime

    run = make_run(ingestion, files=1)
    Run.objects.filter(pk=run.pk).update(queued_at=datetime(2026, 1, 5, 23, 30, tzinfo=UTC))
    person = visit(timezone_id="Asia/Tokyo", locale="de-DE")
    person.sign_in()
    page = person.go(f"/runs/{run.pk}/")
    expect(page.locator("h1")).to_contain_text("06.01.2026, 08:30")
    expect(page.locator("h1 time")).to_have_attribute("title", "06.01.2026, 08:30:00 GMT+9 (2026-01-05T23:30:00Z)")


def test_the_keyboard_reaches_the_content_and_the_search(visit: NewVisit, ingestion: Ingestion) -> None:
    person = visit()
    page = person.sign_in()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("nowhere")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is called “nowhere”")).to_be_visible()


def test_a_snapshot_can_be_copied(visit: NewVisit, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    person = visit(permissions=["clipboard-read", "clipboard-write"])
    person.sign_in()
    page = person.go(f"/runs/{run.pk}/")
    page.get_by_role("button", name="Copy the snapshot of batch 1").click()
    assert page.evaluate("navigator.clipboard.readText()") == "4711"


def test_the_theme_is_the_systems_until_one_is_chosen(visit: NewVisit) -> None:
    person = visit(dark=True)
    page = person.sign_in()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: dark").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
