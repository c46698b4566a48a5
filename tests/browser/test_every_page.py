"""Every page, light and dark, wide and narrow: readable for everybody, no word in the console, nothing cut off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Census, Ingestion, Run
from ingestions.services.census import Counted
from tests.browser.conftest import NARROW, WIDE, NewVisit
from tests.cast import make_alert, make_file, make_run, make_schema_change, make_schema_version


def count_made(ingestion: Ingestion) -> None:
    """A count of everything that one can show."""
    counted = Counted(
        {("LOADED", ""): [900, 9_000_000], ("SKIPPED", "settling"): [3, 30], ("FAILED", ""): [1, 7]},
        objects=1000, bytes=9_000_037, not_meant=90, unnamable=1, left_out=2, undiscovered=5, new_versions=1,
        examples=["s3://shop/orders/" + "a-very-long-name-without-any-space" * 8 + ".csv"], gone={"LOADED": 2},
        elsewhere=4,
    )  # fmt: skip
    now = timezone.now()
    Census.objects.create(
        ingestion=ingestion, status="done", listed=1002, result=counted.to_json(), started_at=now, updated_at=now
    )


def fill(ingestion: Ingestion, cluster: Cluster) -> list[str]:
    """One of everything that a page can show; the pages' addresses."""
    merged = make_run(ingestion, files=2)
    detail = {"merge": {"read": 200, "inserted": 120, "updated": 70, "deleted": 3, "superseded": 7}}
    merged.batches.update(detail=detail, ddl=["ALTER TABLE `lake`.`shop`.`orders` ADD COLUMNS (`note` string)"])
    batch = merged.batches.get()
    replaced = make_file(ingestion, number=72, state="SUPERSEDED", reason=f"replaced by batch {batch.pk}", run=merged)
    partial = make_run(ingestion, errors=2)
    failed = make_file(
        ingestion, number=70, state="FAILED", reason="It is no gzip, whatever its name says.", rows=None, run=partial
    )
    make_schema_version(ingestion, 1)
    held = make_file(ingestion, number=73, state="DISCOVERED", reason="waiting for schema change #1", rows=None)
    make_schema_change(ingestion, 1, files=[held])
    decided = make_schema_change(ingestion, 2)
    decided.status = "applied"
    decided.save()
    recipients = ["ops@example.com", "https://hooks.example.com/" + "x" * 99]
    ingestion.config["quality"] |= {"alerts_enabled": True, "alert_recipients": recipients}
    ingestion.save()
    make_alert(ingestion, "delivered", run=partial)
    make_alert(ingestion, "given_up", tries=8, reason="hooks.example.com answered 500.")
    make_alert(ingestion, run=partial, tries=1, reason="The mail server mail.example.com: it closed the connection")
    long = "s3://shop/orders/" + "a-very-long-name-without-any-space" * 8 + ".csv"
    make_file(ingestion, number=71, address=long, state="DISCOVERED")
    retried = Run.objects.create(
        ingestion=ingestion,
        status="failed",
        error_message="The bucket shop is gone.",
        error_hint="Enter the right one.",
        retry_at=timezone.now() + timedelta(minutes=5),
        retry_number=1,
        backfill={"modified_after": None, "modified_before": None, "prefix": long},
        started_at=timezone.now(),
        ended_at=timezone.now(),
    )
    active = Run.objects.create(
        ingestion=ingestion, status="running", started_at=timezone.now(), discovered_at=timezone.now(),
        files_total=9, bytes_total=900, bytes_done=300, phase="batch 1: writing rows",
    )  # fmt: skip
    cluster.last_test = {
        "status": "failed",
        "checks": [
            {"name": "name", "ok": True, "detail": "It resolves.", "hint": ""},
            {"name": "port", "ok": False, "detail": "It is closed.", "hint": "Start the cluster."},
        ],
    }
    cluster.last_test_at = timezone.now()
    cluster.save()
    schedule = {**ingestion.config["schedule"], "frequency": "daily", "time": "02:30", "timezone": "Europe/Berlin"}
    Ingestion.objects.filter(pk=ingestion.pk).update(
        status="active",
        config={**ingestion.config, "schedule": schedule},
        next_run_at=timezone.now() + timedelta(hours=1),
        schedule_note="The run of 2026-11-26 13:00 UTC was skipped, as the run before it had not ended.",
        schedule_noted_at=timezone.now(),
    )
    one = f"/ingestions/{ingestion.pk}/"
    count_made(ingestion)
    loaded = ingestion.files.filter(state="LOADED").first()
    assert loaded is not None
    return [
        f"{one}completeness/?look=1",  # first: a count is shown for a short while
        "/ingestions/", one, f"{one}runs/", f"{one}files/", "/runs/", f"/runs/{active.pk}/", f"/runs/{partial.pk}/",
        f"/runs/{retried.pk}/",
        f"/runs/{merged.pk}/", f"/files/{failed.pk}/", f"/files/{loaded.pk}/", f"/files/{replaced.pk}/",
        f"{one}schema/", f"{one}alerts/", f"{one}settings/", f"{one}edit/", f"{one}clone/", f"{one}refresh/",
        f"{one}delete/", f"{one}backfill/",
        "/ingestions/new/",
        "/ingestions/import/", "/clusters/", f"/clusters/{cluster.pk}/",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_sound(
    visit: NewVisit, ingestion: Ingestion, cluster: Cluster, dark: bool, size: tuple[int, int]
) -> None:
    pages = fill(ingestion, cluster)
    person = visit(dark=dark, size=size)
    person.go("/signin/")
    assert person.faults() == []
    person.sign_in()
    for path in pages:
        page = person.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert person.faults() == [], path
        assert not person.scrolls_sideways(), path
    assert person.console == []


def test_the_empty_pages_are_sound(visit: NewVisit) -> None:
    person = visit(size=NARROW)
    person.sign_in()
    for path in ("/ingestions/", "/runs/", "/clusters/", "/ingestions/new/", "/ingestions/import/"):
        person.go(path)
        assert person.faults() == [], path
        assert not person.scrolls_sideways(), path
    assert person.console == []
