"""The operators' console: everything can be seen, no secret is, history stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiToken
from accounts.services import token_create
from clusters.models import Cluster, ClusterBreaker
from ingestions.models import (
    AlertDelivery,
    Census,
    Credential,
    Heartbeat,
    Ingestion,
    LedgerEntry,
    LimitLock,
    Listing,
    Run,
    SourceBreaker,
    TableLease,
    Trouble,
    WebhookSecret,
)
from tests.cast import (
    QueryCount,
    cluster,
    ingestion,
    make_alert,
    make_cluster,
    make_file,
    make_ingestion,
    make_run,
    make_schema_change,
    make_schema_version,
    owner,
    queries_of,
    superuser,
)

__all__ = ["cluster", "ingestion", "owner", "queries_of", "superuser"]

OURS = [model for app in ("accounts", "clusters", "ingestions") for model in apps.get_app_config(app).get_models()]
SECRETS = ("secret-key-of-s3", "secret-token-of-a-cluster", "secret-in-an-address", "secret-of-a-webhook")


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def console(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def full(ingestion: Ingestion, cluster: Cluster, owner: User) -> str:
    """One of everything; the text of a token."""
    run = make_run(ingestion, files=2, errors=1)
    make_file(ingestion, number=70, state="FAILED", reason="It is no gzip.", rows=None, run=run)
    make_schema_version(ingestion, 1)
    make_schema_change(ingestion)
    ingestion.credential = Credential.objects.create(
        owner=owner, name="store", cloud="s3", secret={"aws_secret_access_key": SECRETS[0]}, public={"region_name": "x"}
    )
    ingestion.save()
    Cluster.objects.update(token=SECRETS[1], last_test={"status": "success", "checks": []})
    TableLease.objects.create(cluster=cluster, destination_key="lake.shop.orders", run=run, token="held")
    ClusterBreaker.objects.create(cluster=cluster, failures=3, opened_at=timezone.now(), reason="It is gone.")
    LimitLock.objects.create(scope="all")
    SourceBreaker.objects.create(store="s3://shop", failures=3, opened_at=timezone.now(), reason="It is gone.")
    Listing.objects.create(ingestion=ingestion, destination_key="lake.shop.orders", memory={"after": {"": "x"}})
    now = timezone.now()
    Census.objects.create(ingestion=ingestion, status="done", started_at=now, updated_at=now, result={"objects": 3})
    Heartbeat.objects.create(kind="worker", process="host:1", started_at=timezone.now(), beat_at=timezone.now())
    make_alert(ingestion, run=run, channel="webhook", recipient=f"https://hooks.example.com/{SECRETS[2]}/of/an/address")
    Trouble.objects.create(ingestion=ingestion, failed_runs=1)
    WebhookSecret.objects.create(
        owner=owner, url=f"https://hooks.example.com/{SECRETS[2]}/of/an/address", secret=SECRETS[3],
        created_at=timezone.now(),
    )  # fmt: skip
    return token_create(user=owner, name="ci", scope="read")[1]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_is_there_to_be_seen_without_its_secrets(model: type[Model], console: Client, full: str) -> None:
    assert admin.site.is_registered(model)
    listing = console.get(address(model, "changelist") + "?q=o")
    assert listing.status_code == 200
    row = model._default_manager.first()
    assert row is not None, "the cast has none of it"
    page = console.get(address(model, "change", row.pk))
    assert page.status_code == 200
    for answer in (console.get(address(model, "changelist")), page):
        text = answer.content.decode()
        assert full not in text
        for secret in SECRETS:
            assert secret not in text
        assert " style=" not in text.split("<main", 1)[-1].split("</main>", 1)[0].replace(' style="display: none"', "")


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_history_cannot_be_rewritten(model: type[Model], console: Client, full: str) -> None:
    row = model._default_manager.all()[0]
    assert console.get(address(model, "add")).status_code == 403
    if model is not Cluster:
        assert console.post(address(model, "change", row.pk), {"name": "x"}).status_code == 403
    if model is not Ingestion:
        assert console.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nobody_sees_it_without_leave(model: type[Model], owner: User, full: str) -> None:
    client = Client()
    assert client.get(address(model, "changelist")).status_code == 302
    owner.is_staff = True
    owner.save()
    client.force_login(owner)
    assert client.get(address(model, "changelist")).status_code == 403


def test_one_who_may_look_may_not_act(owner: User, full: str, ingestion: Ingestion) -> None:
    owner.is_staff = True
    owner.save()
    owner.user_permissions.add(Permission.objects.get(codename="view_ingestion"))
    client = Client()
    client.force_login(owner)
    body = {"action": "run_now", "_selected_action": [str(ingestion.pk)]}
    client.post(address(Ingestion, "changelist"), body)
    assert not Run.objects.active().exists()


@pytest.mark.parametrize("model", [Ingestion, Run, LedgerEntry, AlertDelivery], ids=lambda model: model.__name__)
def test_a_longer_list_costs_no_more_queries(
    model: type[Model], console: Client, owner: User, cluster: Cluster, queries_of: QueryCount
) -> None:
    def fill(count: int) -> None:
        for number in range(count):
            run = make_run(make_ingestion(owner, cluster, name=f"Feed {number}"), files=2, errors=1)
            make_alert(run.ingestion, run=run)

    fill(1)
    console.get(address(model, "changelist"))
    few = queries_of(lambda: console.get(address(model, "changelist")))
    fill(15)
    assert queries_of(lambda: console.get(address(model, "changelist"))) == few <= 20


def act(client: Client, model: type[Model], action: str, row: Model) -> str:
    body = {"action": action, "_selected_action": [str(row.pk)]}
    return client.post(address(model, "changelist"), body, follow=True).content.decode()


def test_a_run_is_started_and_cancelled(console: Client, ingestion: Ingestion) -> None:
    assert "a run is queued" in act(console, Ingestion, "run_now", ingestion)
    assert "already active" in act(console, Ingestion, "run_now", ingestion)
    run = Run.objects.get()
    assert "the other files wait" in act(console, Run, "cancel", run)
    assert "already ended" in act(console, Run, "cancel", run)


def test_an_ingestion_is_activated_paused_and_resumed(console: Client, ingestion: Ingestion, superuser: User) -> None:
    for action, said, status in (
        ("activate", "is active.", "active"),
        ("pause", "is paused", "paused"),
        ("resume", "is active again.", "active"),
    ):
        assert said in act(console, Ingestion, action, ingestion)
        ingestion.refresh_from_db()
        assert ingestion.status == status
    assert "there is nothing to resume" in act(console, Ingestion, "resume", ingestion)
    history = console.get(address(Ingestion, "history", ingestion.pk)).content.decode()
    assert "superuser" in history


def test_a_run_is_retried_and_its_failed_files_wait_again(console: Client, ingestion: Ingestion) -> None:
    good, bad = make_run(ingestion, files=1), make_run(ingestion, errors=1)
    failed = make_file(ingestion, number=70, state="FAILED", reason="It is no gzip.", rows=None, run=bad)
    assert "no file left that failed" in act(console, Run, "retry", good)
    assert "its failed files wait again" in act(console, Run, "retry", bad)
    assert Run.objects.get(retry_of=bad).status == "queued"
    failed.refresh_from_db()
    assert failed.state == "DISCOVERED"
    assert "already active" in act(console, Run, "retry", bad)


def test_files_are_skipped_and_let_in_again(console: Client, ingestion: Ingestion) -> None:
    failed = make_file(ingestion, number=71, state="FAILED", reason="It is no gzip.", rows=None)
    loaded = make_file(ingestion, number=72)
    assert "is not loaded" in act(console, LedgerEntry, "skip", failed)
    assert "superuser said so" in LedgerEntry.objects.get(pk=failed.pk).reason
    assert "waits for the next run" in act(console, LedgerEntry, "retry", failed)
    assert LedgerEntry.objects.get(pk=failed.pk).state == "DISCOVERED"
    assert "LOADED" in act(console, LedgerEntry, "skip", loaded)
    assert LedgerEntry.objects.get(pk=loaded.pk).state == "LOADED"


def test_an_alert_is_delivered_again(console: Client, ingestion: Ingestion) -> None:
    given_up = make_alert(ingestion, "given_up", tries=8, reason="It answered 500.")
    assert "delivered again within seconds" in act(console, AlertDelivery, "deliver_again", given_up)
    given_up.refresh_from_db()
    assert (given_up.state, given_up.tries, given_up.ended_at) == ("waiting", 0, None)
    assert given_up.next_try_at is not None


def test_lists_are_filtered_and_searched(console: Client, owner: User, cluster: Cluster, ingestion: Ingestion) -> None:
    elsewhere = {"catalog": "lake", "database": "web", "table": "clicks"}
    clicks = make_ingestion(owner, cluster, name="Clicks", status="paused", destination=elsewhere)
    good, bad = make_run(ingestion, files=1), make_run(clicks, errors=1)
    expected: list[tuple[type[Model], str, set[Model]]] = [
        (Ingestion, "status__exact=paused", {clicks}),
        (Ingestion, "q=shop.ord", {ingestion}),
        (Ingestion, f"q={clicks.pk}", {clicks}),
        (Ingestion, f"owner__id__exact={owner.pk}", {ingestion, clicks}),
        (Ingestion, "q=owner", {ingestion, clicks}),
        (Run, "status__exact=partial", {bad}),
        (Run, f"q={good.pk}", {good}),
        (Run, "q=nowhere", set()),
    ]
    for model, query, found in expected:
        page = console.get(f"{address(model, 'changelist')}?{query}")
        assert page.status_code == 200
        assert set(page.context["cl"].result_list) == found, (model, query)


def test_an_ingestion_is_deleted_by_its_service(console: Client, ingestion: Ingestion, full: str) -> None:
    asked = console.get(address(Ingestion, "delete", ingestion.pk)).content.decode()
    assert "its table and its files stay" in asked
    console.post(address(Ingestion, "delete", ingestion.pk), {"post": "yes"})
    assert not Ingestion.objects.exists()
    assert not LedgerEntry.objects.exists()


def test_a_token_is_revoked(console: Client, owner: User) -> None:
    token, _ = token_create(user=owner, name="ci", scope="read")
    assert "is revoked" in act(console, ApiToken, "revoke", token)
    assert not ApiToken.objects.usable().exists()


def test_a_connection_is_tested_and_the_fault_named(console: Client, owner: User) -> None:
    away = make_cluster(owner, url="sc://127.0.0.1:9")
    assert "cannot be reached" in act(console, Cluster, "test_connection", away)


def test_a_cluster_that_runs_wait_for_is_marked_and_tried_again(console: Client, cluster: Cluster) -> None:
    ClusterBreaker.objects.create(cluster=cluster, failures=3, opened_at=timezone.now(), reason="It is gone.")
    assert "Does not answer" in console.get(address(Cluster, "changelist")).content.decode()
    assert "runs go to it again" in act(console, Cluster, "try_again", cluster)
    assert "Does not answer" not in console.get(address(Cluster, "changelist")).content.decode()


def test_a_cluster_is_changed_with_its_token_kept(console: Client, cluster: Cluster) -> None:
    Cluster.objects.update(token=SECRETS[1])
    page = address(Cluster, "change", cluster.pk)
    body = {
        "name": "Renamed", "spark_connect_url": cluster.url, "new_token": "", "workers": 3, "dbu_per_worker": 1,
        "price_dbu_hour": 0.4, "price_storage_gb_month": 0.02, "currency": "EUR", "default_catalog": "lake",
    }  # fmt: skip
    saved = console.post(page, body)
    assert saved.status_code == 302, saved.context["errors"]
    changed = Cluster.objects.get()
    assert (changed.name, changed.workers, changed.token) == ("Renamed", 3, SECRETS[1])
    refused = console.post(page, {**body, "spark_connect_url": "sc://elsewhere"}).content.decode()
    assert "its token is for the old one" in refused
    assert console.post(page, {**body, "new_token": "next", "spark_connect_url": "sc://elsewhere"}).status_code == 302
    changed.refresh_from_db()
    assert (changed.url, changed.token) == ("sc://elsewhere:15002", "next")
    assert "errornote" in console.post(page, {**body, "spark_connect_url": "sc://a?b"}).content.decode()


def test_the_queues_own_schedules_are_out_of_reach(console: Client) -> None:
    assert console.get("/admin/django_q/schedule/").status_code == 404
