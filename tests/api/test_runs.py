from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from tests.api.support import check_list, check_problem, follow
from tests.cast import Api, QueryCount, make_ingestion, make_run


def test_a_run_tells_what_it_did(as_reader: Api, ingestion: Ingestion, run: Run) -> None:
    body = as_reader.get(f"/ingestions/{ingestion.pk}/runs/{run.pk}").json()
    assert (body["id"], body["ingestion_id"]) == (str(run.pk), str(ingestion.pk))
    assert (body["status"], body["trigger"], body["retry_of"]) == ("success", "manual", None)
    assert body["metrics"]["files_processed"] == 3
    assert body["metrics"]["records_ingested"] == 300
    assert body["metrics"]["duration_seconds"] == 10
    assert body["progress"]["files_total"] == body["progress"]["files_done"] == 3
    assert body["snapshots"] == ["4711"]
    assert body["errors"] == []
    assert body["started_at"].endswith("Z")


def test_a_run_shows_its_errors(as_reader: Api, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1, errors=2)
    body = as_reader.get(f"/ingestions/{ingestion.pk}/runs/{run.pk}").json()
    assert (body["status"], body["metrics"]["error_count"]) == ("partial", 2)
    assert body["errors"][0]["file"] == "s3://shop/orders/bad-0.csv"
    assert body["errors"][0]["error_type"] == "broken_file"


def test_a_list_shows_the_first_errors_and_counts_them_all(as_reader: Api, ingestion: Ingestion) -> None:
    make_run(ingestion, errors=25)
    body = as_reader.get(f"/ingestions/{ingestion.pk}/runs").json()[0]
    assert (len(body["errors"]), body["metrics"]["error_count"]) == (20, 25)


def test_runs_are_listed_newest_first_in_pages(as_reader: Api, ingestion: Ingestion) -> None:
    runs = [make_run(ingestion) for _ in range(3)]
    for age, run in enumerate(reversed(runs)):
        Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(minutes=age))
    first = as_reader.get(f"/ingestions/{ingestion.pk}/runs", limit=2)
    rows = check_list(first, 3) + check_list(follow(as_reader, first), 3)
    assert [row["id"] for row in rows] == [str(run.pk) for run in reversed(runs)]


def test_runs_are_filtered_by_status(as_reader: Api, ingestion: Ingestion) -> None:
    make_run(ingestion)
    make_run(ingestion, errors=1)
    rows = check_list(as_reader.get(f"/ingestions/{ingestion.pk}/runs", status="partial"), 1)
    assert rows[0]["status"] == "partial"


def test_to_a_stranger_there_are_none(as_stranger: Api, ingestion: Ingestion, run: Run) -> None:
    check_problem(as_stranger.get(f"/ingestions/{ingestion.pk}/runs"), 404, "ingestion_not_found")
    check_problem(as_stranger.get(f"/ingestions/{ingestion.pk}/runs/{run.pk}"), 404, "run_not_found")
    check_problem(as_stranger.get(f"/ingestions/{ingestion.pk}/runs/{run.pk}/files"), 404, "run_not_found")


def test_a_run_is_found_under_its_own_ingestion_only(as_reader: Api, owner: User, cluster: Cluster, run: Run) -> None:
    other = make_ingestion(owner, cluster, name="Other")
    check_problem(as_reader.get(f"/ingestions/{other.pk}/runs/{run.pk}"), 404, "run_not_found")
    check_problem(as_reader.get(f"/ingestions/nothing/runs/{run.pk}"), 404, "run_not_found")


def test_a_long_list_costs_no_more_queries_than_a_short_one(
    as_reader: Api, ingestion: Ingestion, queries_of: QueryCount
) -> None:
    make_run(ingestion, files=1, errors=1)
    path = f"/ingestions/{ingestion.pk}/runs"
    as_reader.get(path)
    short = queries_of(lambda: as_reader.get(path))
    for _ in range(29):
        make_run(ingestion, files=1, errors=1)
    assert queries_of(lambda: check_list(as_reader.get(path), 30)) == short
