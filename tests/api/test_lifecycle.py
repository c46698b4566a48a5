from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion
from tests.api.support import check_problem
from tests.cast import Api, configuration, make_ingestion

KEYS = {"aws_access_key_id": "AKIASECRETKEYID", "aws_secret_access_key": "s3cr3t/access+key"}


def test_a_draft_is_activated_paused_and_resumed(as_owner: Api, ingestion: Ingestion) -> None:
    for verb, status in (("activate", "active"), ("pause", "paused"), ("resume", "active")):
        response = as_owner.post(f"/ingestions/{ingestion.pk}/{verb}")
        assert (response.status_code, response.json()["status"]) == (200, status)
    assert Ingestion.objects.get().config_version == 4


@pytest.mark.parametrize(
    ("status", "verb"),
    [("draft", "pause"), ("draft", "resume"), ("active", "activate"), ("active", "resume"), ("paused", "pause")],
)
def test_a_step_that_makes_no_sense_is_a_conflict_with_a_hint(
    as_owner: Api, owner: User, cluster: Cluster, status: str, verb: str
) -> None:
    made = make_ingestion(owner, cluster, status=status)
    problem = check_problem(as_owner.post(f"/ingestions/{made.pk}/{verb}"), 409, "wrong_status")
    assert problem["hint"]
    made.refresh_from_db()
    assert (made.status, made.config_version) == (status, 1)


@pytest.mark.parametrize("verb", ["activate", "pause", "resume"])
def test_a_person_ends_an_error(as_owner: Api, ingestion: Ingestion, verb: str) -> None:
    Ingestion.objects.update(status="error", status_reason="The key was refused.")
    body = as_owner.post(f"/ingestions/{ingestion.pk}/{verb}").json()
    assert body["status"] == ("paused" if verb == "pause" else "active")
    assert body["status_reason"] == ""


@pytest.mark.parametrize("verb", ["activate", "resume"])
def test_what_has_become_wrong_is_not_activated(as_owner: Api, owner: User, cluster: Cluster, verb: str) -> None:
    source = {"type": "s3", "path": "s3://shop/../x"}
    made = make_ingestion(owner, cluster, source=source, status="draft" if verb == "activate" else "paused")
    check_problem(as_owner.post(f"/ingestions/{made.pk}/{verb}"), 400, "invalid_path")
    made.refresh_from_db()
    assert made.status != "active"


def test_only_who_may_write_takes_steps(as_reader: Api, as_runner: Api, as_stranger: Api, ingestion: Ingestion) -> None:
    for verb in ("activate", "pause", "resume", "clone"):
        for api in (as_reader, as_runner):
            check_problem(api.post(f"/ingestions/{ingestion.pk}/{verb}"), 403, "scope_too_low")
        check_problem(as_stranger.post(f"/ingestions/{ingestion.pk}/{verb}"), 404, "ingestion_not_found")
    assert Ingestion.objects.get().status == "draft"


# ---- clone


def test_a_clone_is_a_draft_into_a_table_of_its_own(as_owner: Api, owner: User, cluster: Cluster) -> None:
    first = make_ingestion(owner, cluster, status="active")
    clones = [as_owner.post(f"/ingestions/{first.pk}/clone") for _ in range(3)]
    assert [clone.status_code for clone in clones] == [201, 201, 201]
    bodies = [clone.json() for clone in clones]
    assert [body["name"] for body in bodies] == ["Orders copy", "Orders copy 2", "Orders copy 3"]
    assert [body["destination"]["table"] for body in bodies] == ["orders_copy", "orders_copy_2", "orders_copy_3"]
    assert {body["status"] for body in bodies} == {"draft"}
    assert bodies[0]["source"] == first.config["source"]


def test_a_clone_takes_what_is_laid_over_it(as_owner: Api, ingestion: Ingestion) -> None:
    body = {"name": "Returns", "source": {"path": "s3://shop/returns/"}, "destination": {"table": "returns"}}
    clone = as_owner.post(f"/ingestions/{ingestion.pk}/clone", body).json()
    assert (clone["name"], clone["destination"]["table"]) == ("Returns", "returns")
    assert clone["source"]["file_pattern"] == "*.csv"
    assert as_owner.get(f"/ingestions/{ingestion.pk}").json()["name"] == "Orders"


def test_a_clone_into_another_database_keeps_the_tables_name(as_owner: Api, ingestion: Ingestion) -> None:
    clone = as_owner.post(f"/ingestions/{ingestion.pk}/clone", {"destination": {"database": "test"}}).json()
    assert clone["destination"]["table"] == "orders"


def test_a_clone_into_the_same_table_is_warned_of(as_owner: Api, ingestion: Ingestion) -> None:
    clone = as_owner.post(f"/ingestions/{ingestion.pk}/clone", {"destination": {"table": "orders"}}).json()
    assert any("stand there twice" in warning for warning in clone["warnings"])


def test_secrets_go_along_and_are_not_shown(as_owner: Api, cluster: Cluster) -> None:
    body = configuration(cluster)
    body["source"]["credentials"] = KEYS
    first = as_owner.post("/ingestions", body).json()
    clone = as_owner.post(f"/ingestions/{first['id']}/clone")
    assert clone.json()["source"]["credentials"] == dict.fromkeys(KEYS, "***")
    assert not any(secret in clone.content.decode() for secret in KEYS.values())
    assert [credential.secret for credential in Credential.objects.all()] == [KEYS, KEYS]
    as_owner.delete(f"/ingestions/{first['id']}")
    assert Credential.objects.get().secret == KEYS


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"zebra": 1}, 422, "invalid_request"),
        ({"source": {"path": "ftp://x"}}, 400, "invalid_path"),
        (b"{", 400, "malformed_json"),
    ],
)
def test_a_clone_that_is_refused_makes_nothing(
    as_owner: Api, ingestion: Ingestion, body: object, status: int, code: str
) -> None:
    check_problem(as_owner.post(f"/ingestions/{ingestion.pk}/clone", body), status, code)
    assert Ingestion.objects.count() == 1
