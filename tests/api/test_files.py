from __future__ import annotations

from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, Run
from tests.api.support import check_list, check_problem, follow
from tests.cast import Api, QueryCount, make_file, make_run


def test_the_ledger_lists_each_file_with_its_state(as_reader: Api, ingestion: Ingestion, run: Run) -> None:
    rows = check_list(as_reader.get(f"/ingestions/{ingestion.pk}/files"), 3)
    assert [row["path"] for row in rows] == [f"s3://shop/orders/0000{number}.csv" for number in range(3)]
    assert {row["state"] for row in rows} == {"LOADED"}
    assert (rows[0]["rows"], rows[0]["snapshot_id"], rows[0]["run_id"]) == (100, "4711", str(run.pk))


def test_files_of_an_earlier_destination_are_not_in_it(as_reader: Api, ingestion: Ingestion) -> None:
    make_file(ingestion, destination_key="lake.shop.old")
    check_list(as_reader.get(f"/ingestions/{ingestion.pk}/files"), 0)


def test_files_are_filtered_by_state_and_text(as_reader: Api, ingestion: Ingestion) -> None:
    make_file(ingestion, number=1)
    make_file(ingestion, number=2, state=State.FAILED, error_code="broken_file", reason="It ends early.")
    path = f"/ingestions/{ingestion.pk}/files"
    for state in ("FAILED", "failed"):
        row = check_list(as_reader.get(path, state=state), 1)[0]
        assert (row["state"], row["error"], row["reason"]) == ("FAILED", "broken_file", "It ends early.")
    check_list(as_reader.get(path, q="00001"), 1)
    check_problem(as_reader.get(path, state="happy"), 422, "invalid_request")


def test_pages_by_offset_and_by_key_show_every_file_once(as_reader: Api, ingestion: Ingestion) -> None:
    make_run(ingestion, files=7)
    path = f"/ingestions/{ingestion.pk}/files"
    for start in ({"limit": 3}, {"limit": 3, "after": 0}):
        response = as_reader.get(path, **start)
        rows = check_list(response, 7)
        for _ in range(2):
            response = follow(as_reader, response)
            rows += check_list(response, 7)
        assert [row["id"] for row in rows] == sorted(ingestion.files.values_list("pk", flat=True))
        assert 'rel="next"' not in response.headers.get("Link", "")


def test_a_run_lists_its_own_files(as_reader: Api, ingestion: Ingestion, run: Run) -> None:
    other = make_run(ingestion, files=2)
    rows = check_list(as_reader.get(f"/ingestions/{ingestion.pk}/runs/{other.pk}/files"), 2)
    assert {row["run_id"] for row in rows} == {str(other.pk)}
    check_list(as_reader.get(f"/ingestions/{ingestion.pk}/runs/{other.pk}/files", state="failed"), 0)


def test_a_file_has_a_passport(as_reader: Api, ingestion: Ingestion, run: Run) -> None:
    entry = LedgerEntry.objects.earliest("pk")
    body = as_reader.get(f"/files/{entry.pk}").json()
    assert (body["id"], body["ingestion_id"], body["destination"]) == (entry.pk, str(ingestion.pk), "lake.shop.orders")
    assert (body["batch"]["number"], body["batch"]["files"], body["batch"]["snapshot_id"]) == (1, 3, "4711")
    assert [attempt["state"] for attempt in body["batch"]["attempts"]] == ["published"]


def test_a_file_that_waits_has_no_batch(as_reader: Api, ingestion: Ingestion) -> None:
    entry = make_file(ingestion, state=State.DISCOVERED, rows=None, snapshot_id=None)
    body = as_reader.get(f"/files/{entry.pk}").json()
    assert (body["batch"], body["rows"], body["snapshot_id"]) == (None, None, None)


def test_to_a_stranger_there_is_no_such_file(as_stranger: Api, ingestion: Ingestion, run: Run) -> None:
    check_problem(as_stranger.get(f"/files/{LedgerEntry.objects.earliest('pk').pk}"), 404, "file_not_found")
    check_problem(as_stranger.get(f"/ingestions/{ingestion.pk}/files"), 404, "ingestion_not_found")


def test_an_id_that_is_no_number_is_not_found(as_reader: Api) -> None:
    for text in ("nothing", "-1", "9" * 40, "²"):
        check_problem(as_reader.get(f"/files/{text}"), 404, "file_not_found")


def test_a_long_list_costs_no_more_queries_than_a_short_one(
    as_reader: Api, ingestion: Ingestion, queries_of: QueryCount
) -> None:
    make_run(ingestion, files=1)
    path = f"/ingestions/{ingestion.pk}/files"
    as_reader.get(path)
    short = queries_of(lambda: as_reader.get(path))
    make_run(ingestion, files=29)
    assert queries_of(lambda: check_list(as_reader.get(path), 30)) == short
