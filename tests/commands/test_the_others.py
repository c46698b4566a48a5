"""Runs, the ledger, tokens and clusters from the shell."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.models import ApiToken
from accounts.services import token_create
from clusters.models import Cluster, ClusterBreaker
from ingestions.models import Ingestion, Run
from tests.cast import Api, make_file, make_run
from tests.commands.support import manage


def test_runs_are_listed_and_shown_with_their_errors(feed: Ingestion) -> None:
    run = make_run(feed, files=2, errors=1)
    assert str(run.pk) in manage("run", "list").out
    assert manage("run", "list", "--ingestion", "Orders", "--status", "failed", "--json").json() == []
    shown = manage("run", "show", run.pk)
    assert shown.code == 3  # partial
    assert "bad-0.csv" in shown.out
    assert "4711" in shown.out
    assert manage("run", "show", run.pk, "--json").json()["metrics"]["files_failed"] == 1
    assert manage("run", "show", uuid4()).code == 2
    assert manage("run", "show", "x").code == 2


@pytest.mark.parametrize(("status", "code"), [("success", 0), ("failed", 1), ("cancelled", 1), ("running", 0)])
def test_the_exit_code_says_how_a_run_ended(feed: Ingestion, status: str, code: int) -> None:
    run = Run.objects.create(ingestion=feed, status=status, started_at=timezone.now())
    assert manage("run", "show", run.pk).code == code


def test_a_run_is_cancelled_once(feed: Ingestion) -> None:
    run = Run.objects.create(ingestion=feed)
    assert "Cancelled" in manage("run", "cancel", run.pk).out
    assert manage("run", "cancel", run.pk).code == 2


def test_the_ledger_shows_each_file_with_its_reason(feed: Ingestion) -> None:
    make_run(feed, files=2)
    make_file(feed, number=9, state="FAILED", reason="It is no gzip.", rows=None)
    shown = manage("ledger", "show", "Orders").out
    assert "It is no gzip." in shown
    snapshot = feed.files.exclude(snapshot_id=None).values_list("snapshot_id", flat=True)[0]
    assert f" {snapshot} " in shown
    files = manage("ledger", "show", "Orders", "--state", "failed", "--json").json()
    assert [file["path"] for file in files] == ["s3://shop/orders/00009.csv"]
    assert len(manage("ledger", "show", "Orders", "--limit", 1, "--json").json()) == 1


def test_a_verification_without_a_cluster_fails_clearly(feed: Ingestion) -> None:
    Cluster.objects.update(url="sc://127.0.0.1:9")
    done = manage("ledger", "verify", "Orders")
    assert done.code == 1
    assert "127.0.0.1:9" in done.err


def test_a_token_is_shown_once_and_works(superuser: User, owner: User) -> None:
    done = manage("token", "create", "--user", "owner", "--scopes", "read,run", "--name", "ci")
    text = done.out.strip()
    assert text.startswith("al_")
    assert Api(text).get("/ingestions").status_code == 200
    assert Api(text).post("/tokens", {}).status_code == 403
    token = ApiToken.objects.get()
    assert (token.scope, token.user) == ("run", owner)
    listed = manage("token", "list").out + manage("token", "list", "--json").out
    assert token.prefix in listed
    assert text not in listed
    assert manage("token", "revoke", token.pk).code == 0
    assert Api(text).get("/ingestions").status_code == 401
    assert "revoked" in manage("token", "list").out


def test_a_token_that_cannot_be(superuser: User) -> None:
    assert "no scope 'fly'" in manage("token", "create", "--scopes", "fly").err
    assert manage("token", "create", "--user", "nobody").code == 2
    assert manage("token", "revoke", "99").code == 2
    assert not ApiToken.objects.exists()


def test_an_expired_token_is_no_token(superuser: User) -> None:
    assert manage("token", "create", "--days", 0).code == 2
    text = manage("token", "create", "--days", 1, "--json").json()["token"]
    assert Api(text).get("/ingestions").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert Api(text).get("/ingestions").status_code == 401


def test_only_a_digest_of_a_token_is_kept(superuser: User) -> None:
    row, text = token_create(user=superuser, name="x", scope="read")
    assert text not in str(vars(row))
    assert row.prefix == text[: len(row.prefix)] or row.prefix in text


def test_a_cluster_is_added_with_a_token_from_stdin(superuser: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("very-secret\n"))
    done = manage(
        "cluster", "add", "Mine", "sc://spark/;user_id=x", "--token", "stdin", "--owner", "superuser", "--json"
    )
    assert done.json()["token"] == "***"
    assert "very-secret" not in done.out
    assert Cluster.objects.get().token == "very-secret"
    assert "sc://spark:15002/;user_id=x" in manage("cluster", "list").out
    assert manage("cluster", "show", "Mine", "--json").json()["owner"] == "superuser"
    assert manage("cluster", "delete", "Mine").code == 0


def test_a_token_comes_from_the_environment(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOLOADER_CLUSTER_TOKEN", "from-env")
    manage("cluster", "add", "Mine", "sc://spark")
    assert Cluster.objects.get().token == "from-env"


def test_a_cluster_that_cannot_be(db: None) -> None:
    done = manage("cluster", "add", "Mine", "http://spark")
    assert done.code == 2
    assert "Field: spark_connect_url" in done.err
    assert manage("cluster", "add", "Mine", "sc://spark", "--owner", "nobody").code == 2
    assert manage("cluster", "test", "Nothing").code == 2
    assert "cluster add NAME URL" in manage("cluster", "list").out


def test_a_test_that_fails_is_one_with_each_step(everybodys: Cluster) -> None:
    Cluster.objects.update(url="sc://127.0.0.1:9")
    done = manage("cluster", "test", "Warehouse")
    assert done.code == 1
    assert "FAILED   port" in done.out
    assert "→ Start the cluster" in done.out
    assert manage("cluster", "test", "Warehouse", "--json").json()["status"] == "failed"


def test_a_cluster_that_runs_wait_for_is_told_and_tried_again_by_hand(everybodys: Cluster) -> None:
    at = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
    ClusterBreaker.objects.create(cluster=everybodys, trips=2, reason="It is gone.", opened_at=at, next_try_at=at)
    assert "awaited, next try 12:00:05 UTC" in manage("cluster", "list").out
    shown = manage("cluster", "show", "Warehouse", "--json").json()["awaited"]
    assert (shown["reason"], shown["tries"]) == ("It is gone.", 2)
    assert "Runs go to Warehouse again." in manage("cluster", "try-again", "Warehouse").out
    assert "No run has to wait" in manage("cluster", "try-again", "Warehouse").out
    assert manage("cluster", "show", "Warehouse", "--json").json()["awaited"] is None
