"""What the refreshes answer without touching a table; that they do what they say is tested with their services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from clusters.embedded import EmbeddedServer
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end
from ingestions.services.runs import run_start
from tests.api.support import check_problem
from tests.cast import Api, make_cluster, make_ingestion

KINDS = ["full", "new-only"]


def path(ingestion: Ingestion, kind: str) -> str:
    return f"/ingestions/{ingestion.pk}/refresh/{kind}"


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_to_be_confirmed(as_owner: Api, ingestion: Ingestion, kind: str) -> None:
    for body in ({"confirm": False}, {}, {"confirm": False, "dry_run": True}, {"auto_run": False}):
        problem = check_problem(as_owner.post(path(ingestion, kind), body), 422, "invalid_request")
        assert problem["errors"][0]["loc"] == "confirm"
    check_problem(as_owner.post(path(ingestion, kind), {"confirm": True, "zebra": 1}), 422, "invalid_request")
    check_problem(as_owner.post(path(ingestion, kind)), 422, "invalid_request")
    assert Ingestion.objects.get().refresh_mode == ""


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_owners_and_needs_the_scope_write(
    as_stranger: Api, as_runner: Api, ingestion: Ingestion, kind: str
) -> None:
    check_problem(as_stranger.post(path(ingestion, kind), {"confirm": True}), 404, "ingestion_not_found")
    check_problem(as_runner.post(path(ingestion, kind), {"confirm": True}), 403, "scope_too_low")


@pytest.mark.parametrize("kind", KINDS)
def test_not_while_a_run_is_active(as_owner: Api, ingestion: Ingestion, kind: str) -> None:
    run = run_start(ingestion=ingestion)
    problem = check_problem(as_owner.post(path(ingestion, kind), {"confirm": True}), 409, "run_active")
    assert problem["run_id"] == str(run.pk)


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(f"id\n{number}\n")
    return tmp_path


def local(owner: User, folder: Path, url: str) -> Ingestion:
    return make_ingestion(
        owner,
        make_cluster(owner, url=url, is_embedded=True),
        source={"type": "local", "path": str(folder)},
        destination={"catalog": "local", "database": "api_refresh", "table": "orders"},
    )


@pytest.mark.django_db(transaction=True)
def test_a_cluster_that_is_away_is_a_503_and_changes_nothing(as_owner: Api, owner: User, folder: Path) -> None:
    made = local(owner, folder, "sc://127.0.0.1:9/")
    check_problem(as_owner.post(path(made, "full"), {"confirm": True}), 503, "spark_unavailable")
    assert Ingestion.objects.get().refresh_mode == ""
    assert not Run.objects.exists()


@pytest.mark.spark
@pytest.mark.django_db(transaction=True)
def test_it_is_looked_at_then_done_then_loaded(
    as_owner: Api, owner: User, folder: Path, spark_server: EmbeddedServer
) -> None:
    made = local(owner, folder, spark_server.url)
    run_to_end(run_id=str(run_start(ingestion=made).pk), timeout=100)
    (folder / "3.csv").write_text("id\n3\n")
    look = as_owner.post(path(made, "full"), {"dry_run": True})
    assert (look.status_code, look.json()["status"]) == (202, "dry_run")
    assert look.json()["impact"]["files_to_process"] == 4
    done = as_owner.post(path(made, "full"), {"confirm": True})
    assert done.status_code == 202, done.content
    body = done.json()
    assert (body["status"], body["mode"], body["ingestion_id"]) == ("accepted", "full", str(made.pk))
    assert [each["status"] for each in body["operations"]] == ["success"] * 3
    assert run_to_end(run_id=body["run_id"], timeout=100).files_loaded == 4
    (folder / "0.csv").unlink()
    problem = check_problem(as_owner.post(path(made, "full"), {"confirm": True}), 409, "files_gone")
    assert "0.csv" in problem["detail"]
    new = as_owner.post(path(made, "new-only"), {"confirm": True, "auto_run": False}).json()
    assert (new["run_id"], new["mode"], new["impact"]["files_skipped"]) == (None, "new_only", 4)
    assert set(LedgerEntry.objects.values_list("state", flat=True)) == {"SUPERSEDED"}
    assert as_owner.delete(f"/ingestions/{made.pk}?drop_table=true").status_code == 204
    assert not Ingestion.objects.exists()
