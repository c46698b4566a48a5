from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion
from tests.api.support import check_problem
from tests.cast import Api, configuration, make_cluster

SECRETS = {"aws_access_key_id": "AKIASECRETKEYID", "aws_secret_access_key": "s3cr3t/access+key"}
CREDENTIALS = {**SECRETS, "endpoint_url": "http://127.0.0.1:9000", "region_name": "eu-central-1"}


def with_secrets(cluster: Cluster) -> dict[str, object]:
    body = configuration(cluster)
    return {**body, "source": {**body["source"], "credentials": CREDENTIALS}}


def test_a_new_ingestion_is_a_draft_of_its_maker(as_owner: Api, owner: User, cluster: Cluster) -> None:
    response = as_owner.post("/ingestions", with_secrets(cluster))
    assert response.status_code == 201, response.content
    body = response.json()
    assert (body["status"], body["created_by"], body["name"]) == ("draft", "owner", "Orders")
    assert body["spark_connect_url"] == cluster.url
    assert Ingestion.objects.get(pk=body["id"]).owner == owner


def test_the_answer_holds_the_whole_configuration(as_owner: Api, cluster: Cluster) -> None:
    body = as_owner.post("/ingestions", with_secrets(cluster)).json()
    assert body["format"]["schema"] == {
        "inference": "auto",
        "evolution_enabled": True,
        "evolution_mode": "addNewColumns",
        "schema_json": None,
        "hints": {},
        "sample_files": 32,
        "sample_bytes": 16_777_216,
    }
    assert body["limits"]["files_per_batch"] == 1000
    assert body["metadata"]["last_run_id"] is None


def test_secrets_go_in_and_never_come_out(as_owner: Api, as_superuser: Api, cluster: Cluster) -> None:
    created = as_owner.post("/ingestions", with_secrets(cluster))
    path = f"/ingestions/{created.json()['id']}"
    shown = created.json()["source"]["credentials"]
    assert shown == {
        **dict.fromkeys(SECRETS, "***"),
        "endpoint_url": CREDENTIALS["endpoint_url"],
        "region_name": "eu-central-1",
    }
    answers = [created]
    for api in (as_owner, as_superuser):
        answers += [api.get(path), api.get("/ingestions"), api.get(f"{path}/runs"), api.get(f"{path}/files")]
    answers.append(as_owner.post(f"{path}/run"))
    for answer in answers:
        assert answer.status_code < 300
        assert not any(secret in answer.content.decode() for secret in SECRETS.values())
    assert Credential.objects.get().secret == SECRETS


@pytest.mark.parametrize(
    "broken",
    [
        {"source": {"type": "s3", "path": "s3://shop/", "credentials": {"aws_secret_access_key": ["hunter2"]}}},
        {"source": {"type": "s3", "path": "s3://shop/", "credentials": {"password": "hunter2"}}},
        {"cluster_id": {"token": "hunter2"}},
        {"format": {"type": "hunter2"}},
    ],
)
def test_no_posted_value_stands_in_a_validation_error(
    as_owner: Api, cluster: Cluster, broken: dict[str, object]
) -> None:
    response = as_owner.post("/ingestions", configuration(cluster, **broken))
    check_problem(response, 422, "invalid_request")
    assert b"hunter2" not in response.content
    assert not Ingestion.objects.exists()


def test_each_fault_is_named_by_its_field(as_owner: Api) -> None:
    problem = check_problem(
        as_owner.post("/ingestions", {"name": "", "source": {"type": "ftp"}}), 422, "invalid_request"
    )
    fields = {error["loc"] for error in problem["errors"]}
    assert {"name", "cluster_id", "source.type", "source.path", "format", "destination"} == fields


def test_an_unknown_cluster_is_a_400_that_names_the_field(as_owner: Api, cluster: Cluster) -> None:
    body = check_problem(
        as_owner.post("/ingestions", configuration(cluster, cluster_id="nowhere")), 400, "unknown_cluster"
    )
    assert body["field"] == "cluster_id"


def test_the_cluster_of_somebody_else_is_unknown(as_owner: Api, stranger: User) -> None:
    response = as_owner.post("/ingestions", configuration(make_cluster(stranger)))
    check_problem(response, 400, "unknown_cluster")


def test_a_feature_that_is_not_there_yet_is_kept_and_warned_of(as_owner: Api, cluster: Cluster) -> None:
    body = as_owner.post("/ingestions", configuration(cluster, engine="stream")).json()
    assert body["engine"] == "stream"
    assert any("engine" in warning for warning in body["warnings"])


def test_what_was_answered_can_be_posted_again_under_another_name(as_owner: Api, cluster: Cluster) -> None:
    first = as_owner.post("/ingestions", configuration(cluster)).json()
    again = {key: first[key] for key in configuration(cluster)} | {"name": "Copy"}
    assert as_owner.post("/ingestions", json.loads(json.dumps(again))).status_code == 201


def test_a_format_that_the_cluster_cannot_read_is_refused_with_the_jar_to_add(as_owner: Api, owner: User) -> None:
    tested = {
        "status": "success",
        "spark_version": "3.5.7",
        "formats": ["csv", "json", "parquet", "orc", "text", "xml"],
    }
    cluster = make_cluster(owner, last_test=tested)
    response = as_owner.post("/ingestions", {**configuration(cluster), "format": {"type": "avro"}})
    problem = check_problem(response, 400, "format_not_on_cluster")
    assert "org.apache.spark:spark-avro_2.12:3.5.7" in problem["hint"]
    assert not Ingestion.objects.exists()
    for type_ in ("xml", "binary", "orc"):
        assert as_owner.post("/ingestions", {**configuration(cluster), "format": {"type": type_}}).status_code == 201
