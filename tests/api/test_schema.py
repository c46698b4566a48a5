"""Versions of schemas, and what a person decides about them."""

from __future__ import annotations

from ingestions.engine.ledger import State
from ingestions.models import Ingestion, SchemaChange
from tests.api.support import check_list, check_problem
from tests.cast import Api, make_cluster, make_file, make_ingestion, make_schema_change, make_schema_version, person


def waiting(ingestion: Ingestion) -> SchemaChange:
    reason = "waiting for schema change #1"
    file = make_file(ingestion, state=State.DISCOVERED, reason=reason, rows=None, snapshot_id=None)
    return make_schema_change(ingestion, files=[file])


def test_versions_are_listed_with_their_columns(as_reader: Api, ingestion: Ingestion) -> None:
    for number in (1, 2):
        make_schema_version(ingestion, number)
    rows = check_list(as_reader.get("/schema-versions", ingestion_id=ingestion.pk), 2)
    assert [row["number"] for row in rows] == [2, 1]
    assert rows[0]["columns"] == [{"name": "id", "type": "bigint"}]
    check_list(as_reader.get("/schema-versions", limit=1), 2)


def test_a_change_tells_its_files_and_what_approving_it_runs(as_reader: Api, ingestion: Ingestion) -> None:
    change = waiting(ingestion)
    row = check_list(as_reader.get("/schema-changes", ingestion_id=ingestion.pk, status="pending"), 1)[0]
    assert row == as_reader.get(f"/schema-changes/{change.pk}").json()
    assert (row["number"], row["files_count"], len(row["files"])) == (1, 1, 1)
    assert row["changes"] == [{"path": ["fresh"], "kind": "added", "was": None, "type": "bigint"}]
    assert "ADD COLUMNS" in row["ddl"][0]
    check_list(as_reader.get("/schema-changes", status="rejected"), 0)
    assert as_reader.get(f"/ingestions/{ingestion.pk}").json()["metadata"]["schema_changes_pending"] == 1


def test_an_approval_lets_the_files_go_and_cannot_be_taken_back(as_owner: Api, ingestion: Ingestion) -> None:
    change = waiting(ingestion)
    answer = as_owner.post(f"/schema-changes/{change.pk}/approve")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["status"], told["files_released"], told["decided_by"]) == ("approved", 1, ingestion.owner.username)
    assert told["effect"] == "The next run changes the table and loads 1 file."
    file = ingestion.files.get()
    assert (file.state, file.reason) == ("DISCOVERED", "")
    ingestion.refresh_from_db()
    assert ingestion.changes_pending == 0
    check_problem(as_owner.post(f"/schema-changes/{change.pk}/reject"), 409, "change_decided")


def test_a_rejection_says_where_the_values_go(as_owner: Api, ingestion: Ingestion) -> None:
    told = as_owner.post(f"/schema-changes/{waiting(ingestion).pk}/reject").json()
    assert told["status"] == "rejected"
    assert "_rescued_data" in told["effect"]


def test_somebody_elses_change_is_not_there(as_owner: Api, ingestion: Ingestion) -> None:
    stranger = person("stranger")
    theirs = make_ingestion(stranger, make_cluster(stranger, name="theirs"))
    change = waiting(theirs)
    for answer in (
        as_owner.get(f"/schema-changes/{change.pk}"),
        as_owner.post(f"/schema-changes/{change.pk}/approve"),
        as_owner.post("/schema-changes/zebra/approve"),
    ):
        check_problem(answer, 404, "schema_change_not_found")
    check_list(as_owner.get("/schema-changes"), 0)
    check_problem(as_owner.get("/schema-changes", ingestion_id=theirs.pk), 404, "ingestion_not_found")
    change.refresh_from_db()
    assert change.status == "pending"


def test_reading_is_not_deciding(as_reader: Api, ingestion: Ingestion) -> None:
    check_problem(as_reader.post(f"/schema-changes/{waiting(ingestion).pk}/approve"), 403, "scope_too_low")


def test_another_table_has_questions_of_its_own(as_owner: Api, ingestion: Ingestion) -> None:
    change = waiting(ingestion)
    path = f"/ingestions/{ingestion.pk}"
    here = ingestion.config["destination"]["table"]
    moved = as_owner.put(path, {"destination": {"table": "elsewhere"}}).json()
    assert moved["metadata"]["schema_changes_pending"] == 0
    back = as_owner.put(path, {"destination": {"table": here}}).json()
    assert back["metadata"]["schema_changes_pending"] == 1
    change.refresh_from_db()
    assert change.status == "pending"
