"""The cast that plays in the tests of every face: the owner, a stranger, a superuser, and callers with their tokens.

A ``conftest.py`` imports the fixtures it needs by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from accounts.services import token_create
from clusters.models import Cluster
from ingestions.engine.config import IngestionConfig
from ingestions.engine.ledger import State
from ingestions.models import (
    Alert,
    AlertDelivery,
    Batch,
    Ingestion,
    LedgerEntry,
    Run,
    RunError,
    SchemaChange,
    SchemaVersion,
)

ROOT = "/api/v1"


class Api:
    """Calls the REST interface as one person; paths are below ``/api/v1``."""

    def __init__(self, token: str | None = None, client: Client | None = None) -> None:
        self.client = client or Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.client.generic(
            method, ROOT + path, data, content_type="application/json", headers={**self.headers, **headers}
        )

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


def person(name: str, *, superuser: bool = False) -> User:
    return User.objects.create_user(name, password="a long pass phrase", is_superuser=superuser, is_staff=superuser)


def caller(user: User, scope: str) -> Api:
    return Api(token_create(user=user, name=f"{user} {scope}", scope=scope)[1])


@pytest.fixture
def owner(db: None) -> User:
    return person("owner")


@pytest.fixture
def stranger(db: None) -> User:
    return person("stranger")


@pytest.fixture
def superuser(db: None) -> User:
    return person("superuser", superuser=True)


@pytest.fixture
def anonymous() -> Api:
    return Api()


@pytest.fixture
def as_reader(owner: User) -> Api:
    """The owner, by a token that may read only."""
    return caller(owner, "read")


@pytest.fixture
def as_runner(owner: User) -> Api:
    return caller(owner, "run")


@pytest.fixture
def as_owner(owner: User) -> Api:
    """The owner, by a token that may change everything but tokens."""
    return caller(owner, "write")


@pytest.fixture
def as_admin(owner: User) -> Api:
    """The owner, by a token that may also make tokens."""
    return caller(owner, "admin")


@pytest.fixture
def as_stranger(stranger: User) -> Api:
    return caller(stranger, "admin")


@pytest.fixture
def as_superuser(superuser: User) -> Api:
    return caller(superuser, "admin")


def make_cluster(owner: User | None, **changes: Any) -> Cluster:
    values = {
        "name": "Warehouse",
        "url": "sc://spark.example:15002/;user_id=loader",
        "price_dbu_hour": 0.4,
        "price_storage_gb_month": 0.023,
        "default_catalog": "lake",
    }
    return Cluster.objects.create(owner=owner, **{**values, **changes})


@pytest.fixture
def cluster(owner: User) -> Cluster:
    return make_cluster(owner)


def configuration(cluster: Cluster, **changes: Any) -> dict[str, Any]:
    """A body that validates: CSV files of an S3 bucket."""
    body: dict[str, Any] = {
        "name": "Orders",
        "cluster_id": str(cluster.pk),
        "source": {"type": "s3", "path": "s3://shop/orders/", "file_pattern": "*.csv"},
        "format": {"type": "csv"},
        "destination": {"catalog": "lake", "database": "shop", "table": "orders"},
    }
    return {**body, **changes}


def make_ingestion(owner: User, cluster: Cluster, **changes: Any) -> Ingestion:
    """Straight into the database; ``changes`` are parts of the configuration, or ``status``."""
    status = changes.pop("status", Ingestion.Status.DRAFT)
    config = IngestionConfig.model_validate(configuration(cluster, **changes))
    return Ingestion.objects.create(
        owner=owner,
        name=config.name,
        cluster=cluster,
        status=status,
        config=config.to_json(),
        destination_key=config.destination.key,
    )


@pytest.fixture
def ingestion(owner: User, cluster: Cluster) -> Ingestion:
    return make_ingestion(owner, cluster)


def make_run(ingestion: Ingestion, *, files: int = 0, errors: int = 0, at: datetime | None = None) -> Run:
    """One that ended: a batch with ``files`` loaded files, and ``errors`` files that failed."""
    now = at or timezone.now()
    run = Run.objects.create(
        ingestion=ingestion,
        status=Run.Status.PARTIAL if errors else Run.Status.SUCCESS,
        started_at=now - timedelta(seconds=10),
        ended_at=now,
        files_total=files + errors,
        files_loaded=files,
        files_failed=errors,
        rows_done=files * 100,
        batches_done=1 if files else 0,
    )
    batch = Batch.objects.create(
        ingestion=ingestion,
        run=run,
        destination_key=ingestion.destination_key,
        number=1,
        state=Batch.State.LOADED,
        files=files,
        rows=files * 100,
        snapshot_id=4711,
        ended_at=now,
    )
    batch.attempts.create(number=1, branch=f"autoloader_{batch.pk.hex}_1", state="published")
    start = ingestion.files.count()
    for number in range(start, start + files):
        make_file(ingestion, run=run, number=number, batch=batch)
    RunError.objects.bulk_create(
        RunError(run=run, file=f"s3://shop/orders/bad-{number}.csv", error_type="broken_file", message="It ends early.")
        for number in range(errors)
    )
    return run


def make_file(ingestion: Ingestion, *, run: Run | None = None, number: int = 0, **changes: Any) -> LedgerEntry:
    values = {
        "destination_key": ingestion.destination_key,
        "address": f"s3://shop/orders/{number:05}.csv",
        "version": f"etag-{number}",
        "size_bytes": 1000 + number,
        "modified_at": timezone.now(),
        "state": State.LOADED,
        "snapshot_id": 4711,
        "rows": 100,
        "rescued_rows": 0,
    }
    return LedgerEntry.objects.create(ingestion=ingestion, run=run, **{**values, **changes})


def make_schema_version(ingestion: Ingestion, number: int) -> SchemaVersion:
    return SchemaVersion.objects.create(
        ingestion=ingestion, destination_key=ingestion.destination_key, number=number, columns=[["id", "bigint"]]
    )


def make_schema_change(ingestion: Ingestion, number: int = 1, *, files: Sequence[LedgerEntry] = ()) -> SchemaChange:
    """A question about a new column, and files that wait for the answer."""
    row = SchemaChange.objects.create(
        ingestion=ingestion,
        destination_key=ingestion.destination_key,
        number=number,
        changes=[{"path": ["fresh"], "kind": "added", "was": None, "type": "bigint"}],
        ddl=["ALTER TABLE `lake`.`shop`.`orders` ADD COLUMNS (`fresh` bigint)"],
    )
    row.files.set(files)
    Ingestion.objects.filter(pk=ingestion.pk).update(changes_pending=1)
    return row


def make_alert(
    ingestion: Ingestion, state: str = "waiting", *, run: Run | None = None, **changes: Any
) -> AlertDelivery:
    """Of a failure, to a mailbox, unless ``changes`` of the delivery say otherwise."""
    now = timezone.now()
    alert = Alert.objects.create(
        ingestion=ingestion, run=run, kind="failed" if run else "test", created_at=now, subject="[Autoloader] Orders",
        text="It failed.", document={"text": "It failed."},
    )  # fmt: skip
    values = {"channel": "email", "recipient": "ops@example.com", "server": "mail", "next_try_at": now}
    if state != "waiting":
        values |= {"next_try_at": None, "ended_at": now}
    return AlertDelivery.objects.create(alert=alert, state=state, **{**values, **changes})


@pytest.fixture
def run(ingestion: Ingestion) -> Run:
    return make_run(ingestion, files=3)


QueryCount = Callable[[Callable[[], Any]], int]


@pytest.fixture
def queries_of(db: None) -> QueryCount:
    """How many queries a call makes; for comparing a short list with a long one."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def count(call: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            call()
        return len(captured)

    return count
