"""``manage.py ingestion schema list | changes | approve | reject``."""

from __future__ import annotations

import json

from ingestions.models import Ingestion
from tests.cast import make_file, make_schema_change, make_schema_version
from tests.commands.support import manage


def test_versions_and_changes_are_listed(feed: Ingestion) -> None:
    name = feed.name
    assert "not been made yet" in manage("ingestion", "schema", "list", name).out
    assert "No change" in manage("ingestion", "schema", "changes", name).out
    make_schema_version(feed, 1)
    make_schema_change(feed, files=[make_file(feed, state="DISCOVERED")])
    assert manage("ingestion", "schema", "list", name).out.startswith("v1 ")
    told = manage("ingestion", "schema", "changes", name).out
    for part in ("#1  pending  1 file", "ADD COLUMNS", "from s3://shop/orders/00000.csv"):
        assert part in told
    assert json.loads(manage("ingestion", "schema", "changes", name, "--json").out)[0]["number"] == 1
    assert json.loads(manage("ingestion", "schema", "list", name, "--json").out)[0]["columns"][0]["name"] == "id"


def test_a_change_is_approved_by_its_number(feed: Ingestion) -> None:
    change = make_schema_change(feed, 3)
    assert "not said which" in manage("ingestion", "schema", "approve", feed.name).err
    assert "no schema change #1" in manage("ingestion", "schema", "approve", feed.name, "1").err
    done = manage("ingestion", "schema", "approve", feed.name, "3")
    assert done.out.startswith("Schema change #3 is approved.")
    change.refresh_from_db()
    assert change.status == "approved"
    again = manage("ingestion", "schema", "reject", feed.name, "3")
    assert again.code != 0
    assert "approved already" in again.err
