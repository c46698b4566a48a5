from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autoloader.lib.errors import AccessError
from clusters.models import Cluster, ClusterBreaker
from ingestions.models import Ingestion
from tests.cast import make_cluster
from tests.web.test_ingestions import text


def test_clusters_are_listed_with_what_runs_on_them(browser: Client, ingestion: Ingestion, cluster: Cluster) -> None:
    page = text(browser, "/clusters/")
    assert "sc://spark.example:15002/;user_id=loader" in page
    assert "Not tested" in page
    assert f"/clusters/{cluster.pk}/#ingestions" in page


def test_a_cluster_shows_its_last_test_and_never_its_token(browser: Client, owner: User, ingestion: Ingestion) -> None:
    cluster = make_cluster(
        owner,
        token={"token": "very-secret"},
        last_test_at=timezone.now(),
        last_test={
            "status": "failed",
            "checks": [{"name": "port", "ok": False, "detail": "It is closed.", "hint": "Start the cluster."}],
        },
    )
    page = text(browser, f"/clusters/{cluster.pk}/")
    for part in ("It is closed.", "Start the cluster.", "Failed", "Not reachable", "set; it is never shown"):
        assert part in page
    assert "very-secret" not in page


def test_a_test_that_fails_is_told_on_the_page(browser: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = make_cluster(owner, url="sc://127.0.0.1:9")
    page = browser.post(f"/clusters/{cluster.pk}/test/", follow=True).content.decode()
    assert "Failed" in page
    assert "127.0.0.1" in page

    def refuse(**_: object) -> None:
        raise AccessError("refused", "The cluster refused.", "Enter another token.")

    monkeypatch.setattr("ingestions.web.clusters.cluster_test", refuse)
    page = browser.post(f"/clusters/{cluster.pk}/test/", follow=True).content.decode()
    assert "The cluster refused. Enter another token." in page


def test_a_cluster_that_runs_wait_for_says_why_and_can_be_tried_again_now(browser: Client, owner: User) -> None:
    cluster = make_cluster(owner, last_test={"status": "success", "checks": []})
    now = timezone.now()
    ClusterBreaker.objects.create(
        cluster=cluster, failures=3, trips=1, reason="It is gone.", opened_at=now, next_try_at=now + timedelta(hours=1)
    )
    assert "Does not answer" in text(browser, "/clusters/")
    page = text(browser, f"/clusters/{cluster.pk}/")
    for part in ("Runs wait for this cluster since", "It is gone.", "The next try is at", "Try again now"):
        assert part in page
    page = browser.post(f"/clusters/{cluster.pk}/try-again/", follow=True).content.decode()
    assert "Runs go to Warehouse again." in page
    assert "Runs wait for this cluster" not in page
    assert Cluster.objects.get().awaited is None


def test_a_strangers_cluster_is_not_there_to_be_tried(strangers_browser: Client, cluster: Cluster) -> None:
    assert strangers_browser.post(f"/clusters/{cluster.pk}/try-again/").status_code == 404
