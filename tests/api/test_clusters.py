"""Clusters over REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from tests.cast import Api, make_cluster, make_ingestion

BODY = {"name": "Mine", "spark_connect_url": "sc://spark.example/;user_id=me;token=very-secret"}


def test_a_cluster_is_added_and_its_token_never_shown(as_owner: Api) -> None:
    answer = as_owner.post("/clusters", {**BODY, "pricing": {"dbu_hour": 0.5}, "default_catalog": "lake"})
    assert answer.status_code == 201
    made = answer.json()
    assert made["spark_connect_url"] == "sc://spark.example:15002/;user_id=me"
    assert made["token"] == "***"
    assert made["pricing"] == {"dbu_hour": 0.5, "storage_gb_month": 0.023}
    assert made["status"] == "unknown"
    assert "very-secret" not in answer.content.decode() + as_owner.get("/clusters").content.decode()
    assert Cluster.objects.get().token == "very-secret"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": ""}, 422), ({"workers": 0}, 422), ({"zebra": 1}, 422), ({"spark_connect_url": "http://x"}, 400),
        ({"currency": "12"}, 422), ({"currency": "1a2"}, 400),
    ],
)  # fmt: skip
def test_bad_clusters_are_refused(as_owner: Api, changes: dict[str, Any], status: int) -> None:
    answer = as_owner.post("/clusters", {**BODY, **changes})
    assert answer.status_code == status
    assert "very-secret" not in answer.content.decode()
    assert not Cluster.objects.exists()


def test_a_cluster_is_changed_field_by_field(as_owner: Api, cluster: Cluster) -> None:
    answer = as_owner.put(f"/clusters/{cluster.pk}", {"workers": 4, "token": "new"})
    assert (answer.status_code, answer.json()["workers"], answer.json()["name"]) == (200, 4, "Warehouse")
    answer = as_owner.put(f"/clusters/{cluster.pk}", {"spark_connect_url": "sc://elsewhere"})
    assert (answer.status_code, answer.json()["code"]) == (400, "token_needed")
    assert as_owner.put(f"/clusters/{cluster.pk}", {"token": None}).json()["token"] is None


def test_a_cluster_in_use_is_not_deleted(as_owner: Api, cluster: Cluster, owner: User) -> None:
    made = make_ingestion(owner, cluster)
    assert as_owner.delete(f"/clusters/{cluster.pk}").status_code == 409
    made.delete()
    assert as_owner.delete(f"/clusters/{cluster.pk}").status_code == 204
    assert as_owner.get(f"/clusters/{cluster.pk}").status_code == 404


def test_what_is_everybodys_only_an_administrator_changes(as_owner: Api, as_superuser: Api) -> None:
    shared = make_cluster(None)
    assert as_owner.get(f"/clusters/{shared.pk}").status_code == 200
    assert as_owner.put(f"/clusters/{shared.pk}", {"workers": 2}).status_code == 403
    assert as_owner.delete(f"/clusters/{shared.pk}").status_code == 403
    assert as_superuser.put(f"/clusters/{shared.pk}", {"workers": 2}).status_code == 200


def test_somebody_elses_is_not_there(as_stranger: Api, cluster: Cluster) -> None:
    for answer in (
        as_stranger.get(f"/clusters/{cluster.pk}"),
        as_stranger.put(f"/clusters/{cluster.pk}", {"workers": 2}),
        as_stranger.delete(f"/clusters/{cluster.pk}"),
        as_stranger.post(f"/clusters/{cluster.pk}/test-connection"),
        as_stranger.post(f"/clusters/{uuid4()}/test-connection"),
    ):
        assert answer.status_code == 404


def test_reading_is_not_writing(as_reader: Api, as_runner: Api, cluster: Cluster) -> None:
    assert as_reader.post("/clusters", BODY).status_code == 403
    assert as_reader.post(f"/clusters/{cluster.pk}/test-connection").status_code == 403
    assert as_runner.put(f"/clusters/{cluster.pk}", {"workers": 2}).status_code == 403


def test_a_test_that_fails_is_an_answer(as_runner: Api, owner: User) -> None:
    away = make_cluster(owner, url="sc://127.0.0.1:9")
    answer = as_runner.post(f"/clusters/{away.pk}/test-connection")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["iceberg"], body["catalogs"], body["spark_version"]) == ("failed", False, [], None)
    assert [check["name"] for check in body["checks"] if not check["ok"]] == ["port"]
    assert as_runner.get(f"/clusters/{away.pk}").json()["status"] == "stopped"
