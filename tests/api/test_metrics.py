from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from clusters.models import Cluster, ClusterBreaker
from ingestions.models import Heartbeat, Ingestion, Run
from ingestions.services.metrics import version
from ingestions.services.runs import run_start
from tests.api.support import check_problem
from tests.cast import Api, QueryCount, caller, make_alert, make_ingestion, make_run


def scrape(api: Api) -> dict[str, float]:
    """``name{label}`` -> value."""
    response = api.client.get("/metrics", headers=api.headers)
    assert response.status_code == 200, response.content
    found = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_they_count_runs_files_and_what_waits(as_superuser: Api, ingestion: Ingestion) -> None:
    make_run(ingestion, files=3, errors=1)
    Ingestion.objects.update(files_loaded=3, rows_loaded=300, bytes_loaded=3003)
    run_start(ingestion=ingestion)
    Run.objects.active().update(files_total=10, files_loaded=4, bytes_total=1000, bytes_done=400)
    Heartbeat.objects.create(
        kind="worker", process="host:1", started_at=timezone.now(), beat_at=timezone.now() - timedelta(seconds=5)
    )
    found = scrape(as_superuser)
    assert found["autoloader_ingestions{draft}"] == 1
    assert found["autoloader_runs{partial}"] == found["autoloader_runs{queued}"] == 1
    assert found["autoloader_runs{failed}"] == 0
    assert (found["autoloader_files{loaded}"], found["autoloader_files{failed}"]) == (3, 1)
    assert (found["autoloader_rows_loaded"], found["autoloader_loaded_bytes"]) == (300, 3003)
    assert (found["autoloader_backlog_files"], found["autoloader_backlog_bytes"]) == (6, 600)
    assert found["autoloader_queue_tasks"] == 1
    assert (found["autoloader_processes_alive{worker}"], found["autoloader_processes_alive{scheduler}"]) == (1, 0)
    assert 5 <= found["autoloader_heartbeat_age_seconds{worker}"] < 30
    assert any(name.startswith("autoloader_build_info") and version() in name for name in found)


def test_they_tell_of_clusters_that_runs_wait_for(as_superuser: Api, ingestion: Ingestion) -> None:
    found = scrape(as_superuser)
    assert (found["autoloader_clusters{closed}"], found["autoloader_clusters{open}"]) == (1, 0)
    assert found["autoloader_runs_waiting"] == 0
    ClusterBreaker.objects.create(cluster=ingestion.cluster, opened_at=timezone.now())
    run_start(ingestion=ingestion)
    Run.objects.update(waits_for=f"cluster:{ingestion.cluster_id}")
    found = scrape(as_superuser)
    assert (found["autoloader_clusters{closed}"], found["autoloader_clusters{open}"]) == (0, 1)
    assert found["autoloader_runs_waiting"] == 1


def test_they_tell_of_alerts_that_do_not_arrive(as_superuser: Api, ingestion: Ingestion) -> None:
    make_alert(ingestion)
    make_alert(ingestion, reason="It answered 500.")
    make_alert(ingestion, "given_up")
    found = scrape(as_superuser)
    counts = [found[f"autoloader_alert_deliveries{{{state}}}"] for state in ("waiting", "delivered", "given_up")]
    assert counts == [2, 0, 1]
    assert found["autoloader_alert_deliveries_failing"] == 1


def test_an_empty_installation_has_metrics_too(as_superuser: Api) -> None:
    assert scrape(as_superuser)["autoloader_rows_loaded"] == 0


def test_no_name_stands_in_them(as_superuser: Api, ingestion: Ingestion, run: Run) -> None:
    text = as_superuser.client.get("/metrics", headers=as_superuser.headers).content.decode()
    assert not any(word in text for word in ("Orders", "shop", "owner", "Warehouse", str(ingestion.pk)))


def test_they_cost_the_same_whatever_there_is(
    as_superuser: Api, owner: User, cluster: Cluster, queries_of: QueryCount
) -> None:
    scrape(as_superuser)
    few = queries_of(lambda: scrape(as_superuser))
    for _ in range(30):
        make_run(make_ingestion(owner, cluster), files=1)
    assert queries_of(lambda: scrape(as_superuser)) == few


def test_a_scraper_needs_no_more_than_a_superusers_read_token(superuser: User) -> None:
    scrape(caller(superuser, "read"))


def test_a_superusers_session_may_read_them(superuser: User) -> None:
    client = Client()
    client.force_login(superuser)
    scrape(Api(client=client))


def test_they_are_closed_to_everybody_else(db: None, as_admin: Api, anonymous: Api) -> None:
    response = anonymous.client.get("/metrics")
    check_problem(response, 401, "unauthorized")
    assert "WWW-Authenticate" in response
    check_problem(anonymous.client.get("/metrics", headers=as_admin.headers), 403, "superuser_needed")
    check_problem(anonymous.client.get("/metrics", headers=Api("al_nonsense").headers), 401, "invalid_token")


def test_an_operator_may_open_them(db: None, anonymous: Api, settings: Any) -> None:
    settings.METRICS_PUBLIC = True
    scrape(anonymous)


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_nothing_can_be_posted_there(db: None, anonymous: Api, path: str) -> None:
    assert anonymous.client.post(path).status_code == 405
