"""Made-up requests to every operation of the OpenAPI document: no fault of ours, no status and no answer that the
document does not know. The same requests each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.services import token_create
from autoloader.api import api
from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import Ingestion, Run
from tests.cast import (
    make_alert,
    make_cluster,
    make_file,
    make_ingestion,
    make_run,
    make_schema_change,
    make_schema_version,
    person,
)


def no_fault_of_ours(ctx: Any, response: Any, case: Any) -> bool | None:
    """A cluster or a store that is not there may be told (502 to 504); a 500 is a fault of the program."""
    if response.status_code == 500:
        raise AssertionError(f"{case.method} {case.path} answered 500")
    return None


CHECKS = [
    no_fault_of_ours,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("AUTOLOADER_EXAMPLES", "20"))
#: one opens connections to made-up addresses and waits for them, the other counts in a thread of its own.
LEFT_OUT = {"cluster_test", "ingestion_completeness"}
ASKS_STORES = {"ingestion_test", "ingestion_estimate"}

SCHEMA = schemathesis.openapi.from_dict(api.get_openapi_schema())
OPERATIONS: dict[str, Any] = {
    result.ok().definition.raw["operationId"]: result.ok()
    for result in SCHEMA.get_all_operations()
    if isinstance(result, Ok) and result.ok().definition.raw["operationId"] not in LEFT_OUT
}
#: what keeps a made-up body from being refused at its first field.
GOOD: dict[str, Any] = {
    "name": "Made up",
    "source": {"type": "s3", "path": "s3://shop/orders/"},
    "format": {"type": "csv"},
    "destination": {"catalog": "lake", "database": "shop", "table": "select"},
    "spark_connect_url": "sc://spark.example:15002/;user_id=x",
}
FIELDS = sorted(
    {
        name
        for schema in api.get_openapi_schema()["components"]["schemas"].values()
        for name in schema.get("properties", {})
    }
    - {"type", "path"}
)


class World:
    """One of everything, for ids that exist."""

    def __init__(self, owner: User) -> None:
        self.cluster: Cluster = make_cluster(owner, url="sc://127.0.0.1:9/")  # nobody listens there
        self.ingestion: Ingestion = make_ingestion(owner, self.cluster)
        make_schema_version(self.ingestion, 1)
        run = make_run(self.ingestion, files=2, errors=1)
        make_file(self.ingestion, run=run, number=9, state=State.FAILED, error_code="broken")
        token, self.text = token_create(user=owner, name="all", scope="admin")
        file = self.ingestion.files.first()
        assert file is not None
        self.ids = {
            "cluster_id": str(self.cluster.pk),
            "ingestion_id": str(self.ingestion.pk),
            "run_id": str(run.pk),
            "file_id": str(file.pk),
            "token_id": str(token.pk),
            "alert_id": str(make_alert(self.ingestion, "given_up").alert_id),
            "change_id": str(make_schema_change(self.ingestion, files=[file]).pk),
        }

    def steer(self, case: Any, kept: list[str]) -> None:
        """Ids that exist, and bodies of good values with few made-up ones, which get further than to a first fault."""
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self.ids[name]
        if isinstance(case.body, dict):
            case.body = {
                name: self._good(name, value, kept)
                for name, value in case.body.items()
                if name in kept or name in GOOD or name == "cluster_id"
            }

    def _good(self, name: str, value: Any, kept: list[str]) -> Any:
        if name == "cluster_id":
            return self.ids[name]
        good = GOOD.get(name)
        if isinstance(good, dict) and isinstance(value, dict):
            return {**{inner: made_up for inner, made_up in value.items() if inner in kept}, **good}
        return value if good is None or name in kept else good


@pytest.fixture
def open_connection(db: None) -> Iterator[None]:
    """A request leaves the test's own transaction alone, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("open_connection")
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_request_surprises(name: str) -> None:
    world = World(person("owner"))
    app = get_wsgi_application()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=OPERATIONS[name].as_strategy(),
        kept=st.none() | st.lists(st.sampled_from(FIELDS), max_size=8),
        status=st.sampled_from(Ingestion.Status.values),
        active=st.booleans(),
    )
    def ask(case: Any, kept: list[str] | None, status: str, active: bool) -> None:
        if kept is not None:
            world.steer(case, kept)
        if name in ASKS_STORES and isinstance(case.body, dict) and isinstance(case.body.get("source"), dict):
            case.body["source"].pop("credentials", None)  # with some, a store would be asked, somewhere
        with transaction.atomic():
            Ingestion.objects.update(status=status)
            if active:
                Run.objects.update(status=Run.Status.QUEUED)
            response = case.call(app=app, headers={"Authorization": f"Bearer {world.text}"})
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    ask()


def test_every_operation_but_the_connection_test_is_asked() -> None:
    found = {
        operation["operationId"]
        for methods in api.get_openapi_schema()["paths"].values()
        for operation in methods.values()
    }
    assert found - OPERATIONS.keys() == LEFT_OUT
