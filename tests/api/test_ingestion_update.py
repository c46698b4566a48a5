from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion, Run
from ingestions.services.store import OrmStore
from tests.api.support import check_problem
from tests.cast import Api, configuration, make_cluster, make_file, make_ingestion, make_run, make_schema_version

KEYS = {"aws_access_key_id": "AKIASECRETKEYID", "aws_secret_access_key": "s3cr3t/access+key"}


def path(ingestion: Ingestion) -> str:
    return f"/ingestions/{ingestion.pk}"


@pytest.fixture
def secured(as_owner: Api, cluster: Cluster) -> Ingestion:
    """One with keys of its own, at an endpoint."""
    body = configuration(cluster)
    body["source"]["credentials"] = {**KEYS, "endpoint_url": "https://store.example"}
    return Ingestion.objects.get(pk=as_owner.post("/ingestions", body).json()["id"])


def test_objects_merge_deeply_and_lists_replace(as_owner: Api, ingestion: Ingestion) -> None:
    as_owner.put(path(ingestion), {"source": {"min_bytes": 5}, "quality": {"alert_recipients": ["a@x", "b@x"]}})
    body = as_owner.put(path(ingestion), {"quality": {"alert_recipients": ["c@x"]}, "name": "Sales"}).json()
    assert (body["source"]["min_bytes"], body["source"]["file_pattern"]) == (5, "*.csv")
    assert (body["quality"]["alert_recipients"], body["name"]) == (["c@x"], "Sales")
    ingestion.refresh_from_db()
    assert (ingestion.name, ingestion.config_version) == ("Sales", 3)


def test_null_replaces_and_takes_a_property_away(as_owner: Api, ingestion: Ingestion) -> None:
    as_owner.put(path(ingestion), {"destination": {"properties": {"a": "1", "b": "2"}}})
    body = as_owner.put(path(ingestion), {"destination": {"properties": {"a": None}}, "source": {"file_pattern": None}})
    assert body.json()["destination"]["properties"] == {"b": "2"}
    assert body.json()["source"]["file_pattern"] is None


def test_an_answer_can_be_sent_back_as_it_is_and_changes_nothing(as_owner: Api, secured: Ingestion) -> None:
    answer = as_owner.get(path(secured)).json()
    again = as_owner.put(path(secured), answer)
    assert again.status_code == 200, again.content
    assert again.json() == {**answer, "effects": []}
    assert Credential.objects.get().secret == KEYS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"destination": {"table": "other"}}, "It starts with nothing loaded"),
        ({"destination": {"table": "other"}}, "The table lake.shop.orders stays as it is"),
        ({"source": {"path": "s3://shop/new/"}}, "the memory stays"),
        ({"source": {"file_pattern": "*.txt"}}, "only the new pattern matches"),
        ({"source": {"max_bytes": 7}}, "judged anew by the next run"),
        ({"format": {"options": {"delimiter": ";"}}}, "read by the new format"),
        ({"format": {"schema": {"evolution_mode": "rescue"}}}, "New columns are treated by the new mode"),
        ({"format": {"overwritten": "append"}}, "versions not seen yet"),
        ({"destination": {"partitioning": {"enabled": True, "columns": ["days(ts)"]}}}, "full refresh"),
        ({"destination": {"properties": {"a": "b"}}}, "full refresh"),
        ({"destination": {"sort_by": ["id"]}}, "full refresh"),
        ({"destination": {"write_mode": "overwrite"}}, "The write mode is overwrite"),
        ({"schedule": {"frequency": "hourly"}}, "The schedule counts from now on"),
        ({"limits": {"files_per_batch": 5}}, "new limits"),
        ({"quality": {"alerts_enabled": True}}, "Checks and alerts"),
        ({"name": "Sales"}, "stay as they are"),
        ({"source": {"credentials": KEYS}}, "new credentials"),
        ({"status": "active"}, "It is active"),
    ],
)
def test_an_edit_tells_what_it_means(as_owner: Api, ingestion: Ingestion, changes: dict[str, Any], told: str) -> None:
    make_schema_version(ingestion, 1)
    response = as_owner.put(path(ingestion), changes)
    assert response.status_code == 200, response.content
    assert told in " ".join(response.json()["effects"])


def test_a_table_that_is_not_made_yet_needs_no_refresh(as_owner: Api, ingestion: Ingestion) -> None:
    body = as_owner.put(path(ingestion), {"destination": {"properties": {"a": "b"}}}).json()
    assert "refresh" not in " ".join(body["effects"])


def test_another_destination_starts_at_zero_and_the_way_back_finds_its_memory(
    as_owner: Api, ingestion: Ingestion
) -> None:
    make_run(ingestion, files=3)
    Ingestion.objects.update(files_loaded=3, rows_loaded=300, bytes_loaded=3003, created_table=True)
    away = as_owner.put(path(ingestion), {"destination": {"table": "other"}}).json()
    assert away["totals"] == {"files": 0, "rows": 0, "bytes": 0}
    assert not Ingestion.objects.get().created_table
    assert as_owner.get(f"{path(ingestion)}/files").json() == []
    back = as_owner.put(path(ingestion), {"destination": {"table": "orders"}}).json()
    assert back["totals"] == {"files": 3, "rows": 300, "bytes": 3003}
    assert "3 files count as loaded there" in back["effects"][0]


def test_the_run_in_hand_keeps_its_configuration(as_owner: Api, ingestion: Ingestion) -> None:
    run = Run.objects.create(ingestion=ingestion)
    queued = as_owner.put(path(ingestion), {"limits": {"files_per_batch": 5}}).json()["effects"]
    assert "The run that waits in the queue starts with the new configuration." in queued
    Run.objects.filter(pk=run.pk).update(status="running")
    running = as_owner.put(path(ingestion), {"limits": {"files_per_batch": 6}}).json()["effects"]
    assert "The run in hand goes on with the configuration it started with." in running


def test_the_masked_secret_keeps_the_one_that_is_set(as_owner: Api, secured: Ingestion) -> None:
    credentials = {"aws_secret_access_key": "***", "aws_access_key_id": "AKIAOTHER", "region_name": "eu-west-1"}
    body = as_owner.put(path(secured), {"source": {"credentials": credentials}})
    assert body.json()["source"]["credentials"] == {
        **dict.fromkeys(KEYS, "***"),
        "endpoint_url": "https://store.example",
        "region_name": "eu-west-1",
    }
    assert b"AKIAOTHER" not in body.content
    kept = Credential.objects.get()
    assert kept.secret == {**KEYS, "aws_access_key_id": "AKIAOTHER"}


def test_a_mask_with_nothing_behind_it_is_refused(as_owner: Api, secured: Ingestion) -> None:
    change = {"source": {"credentials": {"aws_session_token": "***"}}}
    problem = check_problem(as_owner.put(path(secured), change), 400, "secret_missing")
    assert problem["field"] == "source.credentials.aws_session_token"
    body = configuration(secured.cluster)
    body["source"]["credentials"] = dict.fromkeys(KEYS, "***")
    check_problem(as_owner.post("/ingestions", body), 400, "secret_missing")


def test_null_forgets_the_credentials(as_owner: Api, secured: Ingestion) -> None:
    body = as_owner.put(path(secured), {"source": {"credentials": None}}).json()
    assert body["source"]["credentials"] is None
    assert "forgotten" in body["effects"][0]
    assert not Credential.objects.exists()


def test_a_shared_credential_is_never_overwritten(as_owner: Api, owner: User, secured: Ingestion) -> None:
    shared = Credential.objects.create(owner=owner, name="Shared", cloud="s3", secret=KEYS)
    body = as_owner.put(path(secured), {"source": {"credential_id": str(shared.pk)}}).json()
    assert (body["source"]["credential_id"], body["source"]["credentials"]) == (str(shared.pk), None)
    assert Credential.objects.get() == shared  # the inline one is gone
    own = {**KEYS, "aws_secret_access_key": "another"}
    problem = check_problem(as_owner.put(path(secured), {"source": {"credentials": own}}), 400, "two_credentials")
    assert problem["field"] == "source.credential_id"
    change = {"source": {"credentials": own, "credential_id": None}}
    assert as_owner.put(path(secured), change).status_code == 200
    shared.refresh_from_db()
    assert shared.secret == KEYS
    secured.refresh_from_db()
    assert secured.credential is not None
    assert secured.credential.secret == own


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"format": {"type": "fax"}}, 422, "invalid_request"),
        ({"zebra": 1}, 422, "invalid_request"),
        ({"schedule": None}, 422, "invalid_request"),
        ({"config_version": 0}, 422, "invalid_request"),
        ({"cluster_id": "nowhere"}, 400, "unknown_cluster"),
        ({"source": {"path": "s3://shop/../x/"}}, 400, "invalid_path"),
        ({"name": "Sales", "status": "paused"}, 409, "wrong_status"),
        ({"name": "Sales", "status": "error"}, 409, "wrong_status"),
    ],
)
def test_a_refused_edit_changes_nothing(
    as_owner: Api, secured: Ingestion, changes: dict[str, Any], status: int, code: str
) -> None:
    before = as_owner.get(path(secured)).json()
    check_problem(as_owner.put(path(secured), changes), status, code)
    assert as_owner.get(path(secured)).json() == before
    assert not LogEntry.objects.exists()


def test_the_second_of_two_people_is_told_what_the_first_changed(
    as_owner: Api, as_superuser: Api, ingestion: Ingestion
) -> None:
    seen = as_owner.get(path(ingestion)).json()
    as_superuser.put(path(ingestion), {"limits": {"files_per_batch": 7}, "config_version": 1})
    as_superuser.post(f"{path(ingestion)}/activate")
    response = as_owner.put(path(ingestion), {**seen, "name": "Mine"})
    problem = check_problem(response, 409, "stale_edit")
    assert problem["config_version"] == 3
    assert "superuser changed limits.files_per_batch" in problem["detail"]
    assert {error["loc"]: error["msg"] for error in problem["errors"]} == {
        "limits.files_per_batch": "was changed meanwhile; it is now 7",
        "status": 'was changed meanwhile; it is now "active"',
    }
    ingestion.refresh_from_db()
    assert (ingestion.name, ingestion.config_version) == ("Orders", 3)


def test_no_secret_stands_in_the_history(as_owner: Api, secured: Ingestion) -> None:
    as_owner.put(path(secured), {"source": {"credentials": {"aws_secret_access_key": "hunter2"}}})
    assert "hunter2" not in LogEntry.objects.get().change_message
    problem = check_problem(as_owner.put(path(secured), {"name": "X", "config_version": 1}), 409, "stale_edit")
    assert problem["errors"] == [{"loc": "source.credentials", "msg": "was changed meanwhile"}]


def test_a_refresh_that_was_begun_keeps_its_table(as_owner: Api, ingestion: Ingestion) -> None:
    Ingestion.objects.update(refresh_mode="full")
    change = {"destination": {"table": "other"}}
    check_problem(as_owner.put(path(ingestion), change), 409, "refresh_begun")
    assert as_owner.put(path(ingestion), {"name": "Sales"}).status_code == 200


def test_another_cluster_keeps_the_memory(as_owner: Api, owner: User, ingestion: Ingestion) -> None:
    make_file(ingestion)
    other = make_cluster(owner, name="Elsewhere")
    body = as_owner.put(path(ingestion), {"cluster_id": "Elsewhere"}).json()
    assert body["cluster_id"] == str(other.pk)
    assert "1 files count as loaded" in " ".join(body["effects"])


def test_who_may_not_edit(as_reader: Api, as_runner: Api, as_stranger: Api, ingestion: Ingestion) -> None:
    for api in (as_reader, as_runner):
        check_problem(api.put(path(ingestion), {"name": "X"}), 403, "scope_too_low")
    check_problem(as_stranger.put(path(ingestion), {"name": "X"}), 404, "ingestion_not_found")


def test_a_superuser_edits_in_the_owners_place(as_superuser: Api, superuser: User, ingestion: Ingestion) -> None:
    make_cluster(superuser, name="Private")
    check_problem(as_superuser.put(path(ingestion), {"cluster_id": "Private"}), 400, "unknown_cluster")
    assert as_superuser.put(path(ingestion), {"name": "Sales"}).json()["created_by"] == "owner"


def test_totals_of_a_run_that_goes_on_count_for_the_old_table(as_owner: Api, owner: User, cluster: Cluster) -> None:
    feed = make_ingestion(owner, cluster)
    run = Run.objects.create(ingestion=feed, status="running", lease_token="word")
    as_owner.put(path(feed), {"destination": {"table": "other"}})
    OrmStore(run, destination_key="lake.shop.orders").table_created()
    assert not Ingestion.objects.get(pk=feed.pk).created_table
