"""Previews, dry runs and estimates over REST: who may, what a dead cluster and a wrong body get, nothing kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from ingestions.models import Credential, Ingestion, LedgerEntry, Run
from ingestions.services.looking import preview, subject_posted
from tests.api.support import check_problem
from tests.cast import Api, make_cluster, make_ingestion


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    (tmp_path / "a b.csv").write_text("id,name\n1,x\n2,y\n")
    return tmp_path


@pytest.fixture
def dead(owner: Any) -> Cluster:
    """A cluster where nobody listens."""
    return make_cluster(owner, url="sc://127.0.0.1:1", is_embedded=True)


def body(cluster: Cluster, folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Orders",
        "cluster_id": str(cluster.pk),
        "source": {"type": "local", "path": str(folder)},
        "format": {"type": "csv"},
        "destination": {"catalog": "local", "database": "looks", "table": "orders"},
        **changes,
    }


def kept() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (Ingestion, Run, LedgerEntry, Credential))


def test_an_estimate_shows_its_factors_and_asks_no_cluster(as_runner: Api, dead: Cluster, folder: Path) -> None:
    response = as_runner.post("/ingestions/estimate-cost", body(dead, folder, schedule={"frequency": "hourly"}))
    assert response.status_code == 200, response.content
    found = response.json()
    assert found["basis"] == "modelled"
    assert found["breakdown_details"]["files_now"]["value"] == 1
    assert found["breakdown_details"]["runs_a_month"]["value"] == pytest.approx(730.56)
    assert kept() == (0, 0, 0, 0)


def test_the_last_estimate_stays_with_the_ingestion_until_it_is_edited(
    as_owner: Api, owner: Any, dead: Cluster, folder: Path
) -> None:
    ingestion = make_ingestion(owner, dead, source={"type": "local", "path": str(folder)})
    address = f"/ingestions/{ingestion.pk}"

    def told() -> Any:
        return as_owner.get(address).json()["metadata"]["estimated_monthly_cost"]

    assert told() is None
    total = as_owner.post(f"{address}/estimate-cost").json()["total_monthly"]
    assert told() == total
    assert as_owner.put(address, {"schedule": {"frequency": "hourly"}}).status_code == 200
    assert told() is None


@pytest.mark.parametrize("path", ["/ingestions/test", "/ingestions/{id}/preview", "/ingestions/{id}/dry-run"])
def test_a_dead_cluster_is_told(as_runner: Api, owner: Any, dead: Cluster, folder: Path, path: str) -> None:
    ingestion = make_ingestion(owner, dead, source={"type": "local", "path": str(folder)})
    response = as_runner.post(path.format(id=ingestion.pk), body(dead, folder) if path.endswith("test") else None)
    assert response.status_code == 503, response.content
    assert response.json()["hint"]
    assert LedgerEntry.objects.count() == 0


def test_what_does_not_validate_is_a_422_and_what_cannot_be_done_a_400(
    as_runner: Api, dead: Cluster, folder: Path
) -> None:
    check_problem(as_runner.post("/ingestions/test", {**body(dead, folder), "extra": 1}), 422, "invalid_request")
    outside = body(dead, folder, source={"type": "local", "path": "/etc"})
    problem = check_problem(as_runner.post("/ingestions/test", outside), 400, "outside_local_roots")
    assert problem["field"] == "source.path"


def test_a_folder_that_is_not_there_is_the_store_s_fault(as_runner: Api, dead: Cluster, folder: Path) -> None:
    gone = body(dead, folder, source={"type": "local", "path": str(folder / "gone")})
    check_problem(as_runner.post("/ingestions/estimate-cost", gone), 502, "no_such_folder")


def test_strangers_and_readers_look_at_nothing(as_stranger: Api, as_reader: Api, ingestion: Ingestion) -> None:
    for verb in ("preview", "dry-run", "estimate-cost"):
        check_problem(as_stranger.post(f"/ingestions/{ingestion.pk}/{verb}"), 404, "ingestion_not_found")
        check_problem(as_reader.post(f"/ingestions/{ingestion.pk}/{verb}"), 403, "scope_too_low")


def test_the_secrets_of_a_stranger_s_ingestion_cannot_be_borrowed(
    as_stranger: Api, ingestion: Ingestion, folder: Path, stranger: Any
) -> None:
    theirs = make_cluster(stranger, url="sc://127.0.0.1:1")
    posted = body(theirs, folder, source={"type": "s3", "path": "s3://shop/x/", "credentials": {"ambient": True}})
    response = as_stranger.post(f"/ingestions/test?ingestion_id={ingestion.pk}", posted)
    check_problem(response, 404, "ingestion_not_found")


@pytest.mark.spark
@pytest.mark.django_db(transaction=True)
def test_a_preview_and_a_dry_run_by_a_real_cluster(
    as_runner: Api, owner: Any, folder: Path, spark_server: EmbeddedServer
) -> None:
    cluster = make_cluster(owner, url=spark_server.url, is_embedded=True)
    preview(subject=subject_posted(body=body(cluster, folder), user=owner))  # a server that has just started is slow
    response = as_runner.post("/ingestions/test", body(cluster, folder))
    assert response.status_code == 200, response.content
    found = response.json()
    assert [(column["name"], column["data_type"]) for column in found["schema"]] == [
        ("id", "bigint"),
        ("name", "string"),
    ]
    assert found["estimated_records"] == 2
    ingestion = make_ingestion(owner, cluster, **{
        key: value for key, value in body(cluster, folder).items() if key not in ("name", "cluster_id")
    })  # fmt: skip
    told = as_runner.post(f"/ingestions/{ingestion.pk}/dry-run").json()
    assert (told["files"], told["estimated_rows"], told["table_exists"]) == (1, 2, False)
    assert told["first_files"] == [f"file://{folder}/a b.csv"]
