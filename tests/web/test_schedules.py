"""What pages show of schedules, retries and places, and the form of a backfill."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.services.lifecycle import ingestion_activate
from tests.cast import make_ingestion
from tests.web.test_ingestions import text

DAILY = {"frequency": "daily", "time": "02:30", "timezone": "Europe/Berlin"}


def test_the_page_of_an_ingestion_shows_its_next_five_times(browser: Client, owner: User, cluster: Cluster) -> None:
    row = make_ingestion(owner, cluster, schedule=DAILY)
    draft = text(browser, f"/ingestions/{row.pk}/")
    assert "Every day at 02:30, Europe/Berlin" in draft
    assert "its schedule counts once it is active" in draft
    ingestion_activate(ingestion=row, user=owner)
    page = text(browser, f"/ingestions/{row.pk}/")
    assert len(re.findall(r"\d{4}, 02:30 \(UTC\+[12]\)", page)) >= 4
    assert "next <time" in text(browser, "/ingestions/")


def test_what_became_of_a_fire_is_told(browser: Client, ingestion: Ingestion) -> None:
    Ingestion.objects.update(schedule_note="The run of 13:00 was skipped.", schedule_noted_at=timezone.now())
    assert "The run of 13:00 was skipped." in text(browser, f"/ingestions/{ingestion.pk}/")


def test_a_run_says_when_it_is_tried_again_and_what_it_waits_for(browser: Client, ingestion: Ingestion) -> None:
    at = timezone.now() + timedelta(minutes=5)
    failed = Run.objects.create(ingestion=ingestion, status="failed", error_message="It is away.", retry_at=at)
    page = text(browser, f"/runs/{failed.pk}/")
    assert "Next retry at" in page
    assert f"{at:%H:%M:%S} UTC" in page
    again = Run.objects.create(ingestion=ingestion, trigger="retry", retry_of=failed, retry_number=2,
                               phase="waits for a free place on the cluster X: 4 of 4 in use")  # fmt: skip
    page = text(browser, f"/runs/{again.pk}/")
    assert "Retry 2, by itself" in page
    assert "Waits for a free place on the cluster X: 4 of 4 in use" in page


def test_a_backfill_is_asked_for_by_times_and_names(browser: Client, ingestion: Ingestion) -> None:
    address = f"/ingestions/{ingestion.pk}/backfill/"
    assert address in text(browser, f"/ingestions/{ingestion.pk}/")
    assert "Modified from, UTC" in text(browser, address)
    answer = browser.post(address, {"modified_after": "2025-01-01T00:00", "modified_before": "", "prefix": "eu/"})
    run = Run.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert run.trigger == "backfill"
    shown = text(browser, f"/runs/{run.pk}/")
    assert "files modified from 2025-01-01 00:00 UTC on whose names begin with s3://shop/orders/eu/" in shown


def test_a_backfill_that_makes_no_sense_keeps_what_was_typed(browser: Client, ingestion: Ingestion) -> None:
    address = f"/ingestions/{ingestion.pk}/backfill/"
    page = browser.post(address, {"modified_after": "noon", "prefix": "eu/"}).content.decode()
    assert "is no time" in page
    assert 'value="eu/"' in page
    assert 'aria-invalid="true"' in page
    assert "It is not said which files." in browser.post(address, {}).content.decode()
    assert not Run.objects.exists()


def test_a_cluster_shows_how_many_runs_it_takes(browser: Client, cluster: Cluster) -> None:
    assert "as many as there are workers" in text(browser, f"/clusters/{cluster.pk}/")
    Cluster.objects.update(max_runs=4)
    assert "at most 4; the others wait for a place" in text(browser, f"/clusters/{cluster.pk}/")


@pytest.mark.parametrize("failed", [0, 1])
def test_a_run_that_waits_for_more_is_shown_as_what_it_is(browser: Client, ingestion: Ingestion, failed: int) -> None:
    """No progress that goes nowhere, and no hiding of what went wrong until it ends."""
    now = timezone.now()
    values: dict[str, Any] = {"status": "running", "trigger": "continuous", "started_at": now, "idle_since": now}
    run = Run.objects.create(ingestion=ingestion, files_failed=failed, hint="Nothing was found.", **values)
    for page in (f"/ingestions/{ingestion.pk}/", f"/runs/{run.pk}/"):
        text = browser.get(page).content.decode()
        assert f'<span class="badge {"warn" if failed else "ok"}">Watching</span>' in text
        assert "<progress" not in text
        assert ("could not be loaded" in text) == bool(failed)
    assert "Nothing was found." in browser.get(f"/ingestions/{ingestion.pk}/").content.decode()
    assert "<progress" not in browser.get("/ingestions/").content.decode()


def test_a_run_that_waits_for_its_cluster_is_not_called_loading(browser: Client, ingestion: Ingestion) -> None:
    Run.objects.create(ingestion=ingestion, status="running", waits_for=f"cluster:{ingestion.cluster_id}")
    assert '<span class="badge warn">Waiting</span>' in browser.get("/ingestions/").content.decode()
