from __future__ import annotations

from uuid import uuid4

from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry
from tests.api.support import check_list, check_problem
from tests.cast import Api, make_file, make_run


def quarantined(ingestion: Ingestion, number: int, **changes: object) -> LedgerEntry:
    run = make_run(ingestion, files=1)
    entry = LedgerEntry.objects.filter(run=run).get()
    facts = {"read_rows": 5, "rows": 3, "quarantined_rows": 2, "dropped_rows": 0, "quarantine_batch": entry.batch_id}
    LedgerEntry.objects.filter(pk=entry.pk).update(
        **{**facts, "address": f"s3://shop/orders/bad {number}.csv", **changes}
    )
    entry.refresh_from_db()
    return entry


def test_files_with_malformed_rows_are_listed_with_the_query_that_shows_them(
    as_reader: Api, ingestion: Ingestion
) -> None:
    entry = quarantined(ingestion, 1)
    make_file(ingestion, number=9)
    row = check_list(as_reader.get("/quarantine"), 1)[0]
    assert (row["read_rows"], row["rows"], row["quarantined_rows"], row["dropped_rows"]) == (5, 3, 2, 0)
    assert row["table"] == "lake.shop.orders__quarantine"
    assert "`orders__quarantine`" in row["query"]
    assert str(entry.batch_id) in row["query"]


def test_they_are_filtered_by_ingestion_run_and_file(as_reader: Api, ingestion: Ingestion) -> None:
    one, two = quarantined(ingestion, 1), quarantined(ingestion, 2, quarantined_rows=0, dropped_rows=2)
    quarantined(ingestion, 3, state=State.SUPERSEDED)
    assert [row["file_id"] for row in check_list(as_reader.get("/quarantine"), 2)] == [two.pk, one.pk]
    assert check_list(as_reader.get("/quarantine", run_id=str(two.run_id)), 1)[0]["query"] is None
    assert check_list(as_reader.get("/quarantine", file_id=one.pk), 1)[0]["path"] == one.address
    check_list(as_reader.get("/quarantine", ingestion_id=str(ingestion.pk)), 2)
    check_list(as_reader.get("/quarantine", ingestion_id=str(uuid4())), 0)
    check_problem(as_reader.get("/quarantine", ingestion_id="x"), 422, "invalid_request")


def test_a_stranger_sees_none_of_them(as_stranger: Api, ingestion: Ingestion) -> None:
    quarantined(ingestion, 1)
    check_list(as_stranger.get("/quarantine"), 0)
