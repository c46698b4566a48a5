from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion, LedgerEntry, Run
from ingestions.services.runs import run_start
from tests.api.support import check_problem
from tests.cast import Api, make_cluster, make_ingestion, make_run


def test_its_owner_sees_it(as_reader: Api, ingestion: Ingestion, cluster: Cluster) -> None:
    body = as_reader.get(f"/ingestions/{ingestion.pk}").json()
    assert (body["id"], body["name"], body["cluster_id"]) == (str(ingestion.pk), "Orders", str(cluster.pk))
    assert body["source"]["credentials"] is None


def test_to_a_stranger_it_does_not_exist(as_stranger: Api, ingestion: Ingestion) -> None:
    path = f"/ingestions/{ingestion.pk}"
    check_problem(as_stranger.get(path), 404, "ingestion_not_found")
    check_problem(as_stranger.delete(path), 404, "ingestion_not_found")
    assert Ingestion.objects.exists()


@pytest.mark.parametrize("text", ["1", "nothing", "00000000-0000-4000-8000-000000000000", "%2E%2E", "a" * 500])
def test_an_id_that_is_none_is_not_found(as_reader: Api, text: str) -> None:
    check_problem(as_reader.get(f"/ingestions/{text}"), 404, "ingestion_not_found")


def test_deleting_it_forgets_its_runs_its_ledger_and_its_own_credential(
    as_owner: Api, owner: User, ingestion: Ingestion
) -> None:
    ingestion.credential = Credential.objects.create(owner=owner, name="", cloud="s3", inline=True)
    ingestion.save()
    make_run(ingestion, files=2)
    response = as_owner.delete(f"/ingestions/{ingestion.pk}")
    assert (response.status_code, response.content) == (204, b"")
    assert not any(model.objects.exists() for model in (Ingestion, Run, LedgerEntry, Credential))


def test_it_stays_while_a_run_is_active(as_owner: Api, ingestion: Ingestion) -> None:
    run_start(ingestion=ingestion)
    check_problem(as_owner.delete(f"/ingestions/{ingestion.pk}"), 409, "run_active")
    assert Ingestion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_with_its_table_it_is_deleted_only_where_the_cluster_answers(as_owner: Api, owner: User) -> None:
    away = make_ingestion(owner, make_cluster(owner, url="sc://127.0.0.1:9/"))
    check_problem(as_owner.delete(f"/ingestions/{away.pk}?drop_table=true"), 503, "spark_unavailable")
    assert Ingestion.objects.get().refresh_mode == ""
    run_start(ingestion=away)
    check_problem(as_owner.delete(f"/ingestions/{away.pk}?drop_table=true"), 409, "run_active")
    Run.objects.all().delete()
    assert as_owner.delete(f"/ingestions/{away.pk}?drop_table=false").status_code == 204
