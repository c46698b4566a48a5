"""The page of a table's columns: what waits for a person, two buttons, and every version."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from ingestions.models import Ingestion
from tests.cast import make_cluster, make_file, make_ingestion, make_schema_change, make_schema_version, person
from tests.web.test_ingestions import text


def test_what_waits_is_shown_with_its_files_and_statements(browser: Client, ingestion: Ingestion) -> None:
    assert "has not been made yet" in text(browser, f"/ingestions/{ingestion.pk}/schema/")
    make_schema_version(ingestion, 1)
    make_schema_change(ingestion, files=[make_file(ingestion, number=4, state="DISCOVERED")])
    page = text(browser, f"/ingestions/{ingestion.pk}/schema/")
    for part in (
        "Schema change #1 waits for you",
        "ADD COLUMNS",
        "00004.csv",
        "Approve #1",
        "Reject #1",
        "is new, bigint",
    ):
        assert part in page
    assert "Needs review" in page
    assert "1 schema change waits for you" in text(browser, f"/ingestions/{ingestion.pk}/")
    assert "Needs review" in text(browser, "/ingestions/")


def test_a_click_decides_and_a_second_one_says_that_it_was(browser: Client, ingestion: Ingestion) -> None:
    change = make_schema_change(ingestion)
    page = browser.post(f"/schema-changes/{change.pk}/approve/", follow=True).content.decode()
    assert "is approved. The next run changes the table" in page
    assert "Needs review" not in page
    page = browser.post(f"/schema-changes/{change.pk}/reject/", follow=True).content.decode()
    assert "approved already" in page
    change.refresh_from_db()
    assert (change.status, change.decided_by) == ("approved", ingestion.owner)


def test_nobody_decides_for_somebody_else(browser: Client, ingestion: Ingestion) -> None:
    stranger: User = person("stranger")
    change = make_schema_change(make_ingestion(stranger, make_cluster(stranger, name="theirs")))
    assert browser.post(f"/schema-changes/{change.pk}/approve/").status_code == 404
    change.refresh_from_db()
    assert change.status == "pending"
