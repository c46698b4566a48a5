from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion
from ingestions.services.feed_text import LONGEST_BYTES
from tests.api.support import check_problem
from tests.cast import Api, configuration, make_cluster, make_ingestion

KEYS = {"aws_access_key_id": "AKIASECRETKEYID", "aws_secret_access_key": "s3cr3t/access+key"}
TWO = """\
name: Orders
cluster_id: Warehouse
source: {type: s3, path: s3://shop/orders/}
format: {type: csv}
destination: {catalog: lake, database: shop, table: orders}
---
# an empty document counts for nothing
---
name: Returns
cluster_id: Warehouse
source: {type: s3, path: s3://shop/returns/}
format: {type: json}
destination: {catalog: lake, database: shop, table: returns}
---
"""


@pytest.fixture
def secured(as_owner: Api, cluster: Cluster) -> Ingestion:
    body = configuration(cluster, name="Secured")
    body["source"]["credentials"] = {**KEYS, "region_name": "eu-west-1"}
    return Ingestion.objects.get(pk=as_owner.post("/ingestions", body).json()["id"])


def import_(api: Api, text: str, query: str = "") -> Any:
    return api.call("POST", f"/import{query}", text.encode())


def test_all_are_exported_without_secrets(as_reader: Api, ingestion: Ingestion, secured: Ingestion) -> None:
    response = as_reader.get("/export")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/yaml"
    text = response.content.decode()
    first, second = yaml.safe_load_all(text)
    assert first == {**configuration(ingestion.cluster), "cluster_id": "Warehouse"}
    assert second["source"]["credentials"] == {**dict.fromkeys(KEYS, "***"), "region_name": "eu-west-1"}
    assert not any(secret in text for secret in KEYS.values())
    assert '# "***" stands for a secret' in text


def test_some_are_exported_by_id(as_reader: Api, as_stranger: Api, ingestion: Ingestion, secured: Ingestion) -> None:
    for query in (f"ids={secured.pk}&ids={ingestion.pk}", f"ids={secured.pk},{ingestion.pk}"):
        names = [each["name"] for each in yaml.safe_load_all(as_reader.get(f"/export?{query}").content)]
        assert names == ["Secured", "Orders"]
    check_problem(as_reader.get("/export?ids=nothing"), 404, "ingestion_not_found")
    check_problem(as_stranger.get(f"/export?ids={ingestion.pk}"), 404, "ingestion_not_found")
    assert as_stranger.get("/export").content == b""


def test_a_cluster_whose_name_is_not_clear_goes_by_its_id(as_reader: Api, owner: User, ingestion: Ingestion) -> None:
    make_cluster(owner)
    assert f"cluster_id: {ingestion.cluster_id}" in as_reader.get("/export").content.decode()


def test_several_documents_are_imported(as_owner: Api, cluster: Cluster) -> None:
    response = import_(as_owner, TWO)
    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["created"], body["updated"], body["unchanged"]) == (2, 0, 0)
    assert [row["name"] for row in body["ingestions"]] == ["Orders", "Returns"]
    assert set(Ingestion.objects.values_list("status", flat=True)) == {"draft"}


def test_what_was_exported_is_unchanged_when_it_comes_back(as_owner: Api, secured: Ingestion) -> None:
    text = as_owner.get("/export").content.decode()
    body = import_(as_owner, text, "?update=true").json()
    assert [row["action"] for row in body["ingestions"]] == ["unchanged"]
    secured.refresh_from_db()
    assert secured.config_version == 1
    assert Credential.objects.get().secret == KEYS


def test_an_update_takes_the_document_as_the_whole_configuration(as_owner: Api, cluster: Cluster) -> None:
    import_(as_owner, TWO.replace("path: s3://shop/orders/", "path: s3://shop/orders/, min_bytes: 5"))
    check_problem(import_(as_owner, TWO), 409, "name_taken")
    body = import_(as_owner, TWO, "?update=true").json()
    assert [row["action"] for row in body["ingestions"]] == ["updated", "unchanged"]
    assert body["ingestions"][0]["effects"]
    assert Ingestion.objects.get(name="Orders").config["source"]["min_bytes"] is None


@pytest.mark.parametrize(
    ("old", "new", "status", "code", "told"),
    [
        ("type: json", "type: fax", 422, "invalid_configuration", "document 2, line 12, column 10"),
        ("s3://shop/returns/", "s3://shop/../x", 400, "invalid_path", "document 2, line 11"),
        ("name: Returns", "name: Orders", 400, "name_twice", "document 2, line 9"),
        ("table: returns}", "table: returns}\nzebra: 1", 422, "invalid_configuration", "zebra"),
        ("table: returns}", "table: returns}\nstatus: active", 422, "invalid_configuration", "status"),
        ("table: returns}", "table: returns, merge_keys: [id]}", 400, "contradiction", "line 13, column 62"),
        ("table: returns}", "table: returns", 400, "invalid_yaml", "line 14"),
        ("name: Returns", "name: [", 400, "invalid_yaml", "line "),
        ("name: Returns", "name: Returns\nname: Again", 400, "invalid_yaml", "second time"),
        ("name: Returns", "name: !!python/name:os.system x", 400, "invalid_yaml", "line 9"),
        ("name: Returns", "name: !!binary aGVsbG8=", 400, "invalid_yaml", "means nothing here"),
        ("type: s3, path: s3://shop/returns/", "type: s3, path: s3://a/, credentials: {aws_access_key_id: '***'}",
         400, "secret_missing", "line 11"),
        ("type: s3, path: s3://shop/returns/", "type: s3, path: s3://a/, credentials: {role_arn: '${PATH}'}",
         400, "variables_not_possible", "line 11"),
    ],
)  # fmt: skip
def test_one_fault_takes_back_all_and_names_its_place(
    as_owner: Api, cluster: Cluster, old: str, new: str, status: int, code: str, told: str
) -> None:
    assert old in TWO
    problem = check_problem(import_(as_owner, TWO.replace(old, new)), status, code)
    assert told in problem["detail"]
    assert not Ingestion.objects.exists()


@pytest.mark.parametrize("text", ["", "---\n---\n", "- a", "text", "\ufeff", "[" * 5000])
def test_what_is_no_document_is_refused(as_owner: Api, text: str) -> None:
    response = import_(as_owner, text)
    assert response.status_code == 400
    assert response.json()["code"] in ("empty_feed", "invalid_yaml")


def test_bytes_that_are_no_text_are_refused(as_owner: Api) -> None:
    check_problem(as_owner.call("POST", "/import", b"name: \xff"), 400, "invalid_yaml")


def test_aliases_cannot_blow_a_document_up(as_owner: Api) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    problem = check_problem(import_(as_owner, text), 400, "invalid_yaml")
    assert "more than 100,000 values" in problem["detail"]


def test_too_much_text_is_a_413(as_owner: Api, settings: Any) -> None:
    check_problem(import_(as_owner, "#" * (LONGEST_BYTES + 1)), 413, "feed_too_large")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    check_problem(import_(as_owner, "#" * 1001), 413, "body_too_large")


def test_two_of_one_name_cannot_be_updated(as_owner: Api, owner: User, cluster: Cluster) -> None:
    for _ in range(2):
        make_ingestion(owner, cluster)
    check_problem(import_(as_owner, TWO, "?update=true"), 400, "ambiguous_name")


def test_somebody_elses_ingestion_is_not_updated(as_stranger: Api, stranger: User, ingestion: Ingestion) -> None:
    make_cluster(stranger)
    body = import_(as_stranger, TWO, "?update=true").json()
    assert body["created"] == 2
    ingestion.refresh_from_db()
    assert ingestion.config_version == 1


def test_who_may_not_import(as_reader: Api, as_runner: Api, anonymous: Api) -> None:
    check_problem(import_(as_reader, TWO), 403, "scope_too_low")
    check_problem(import_(as_runner, TWO), 403, "scope_too_low")
    check_problem(anonymous.get("/export"), 401, "unauthorized")
