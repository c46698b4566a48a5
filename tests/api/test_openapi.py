from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cast import Api

SNAPSHOT = Path(__file__).parent.parent / "openapi.json"
UPDATE = "AUTOLOADER_UPDATE_SNAPSHOTS"


@pytest.fixture
def document(anonymous: Api) -> dict[str, Any]:
    found: dict[str, Any] = anonymous.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_interface_is_as_it_was_agreed(document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(text)
    assert json.loads(SNAPSHOT.read_text()) == document, (
        f"The OpenAPI document has changed. If that is meant, run `{UPDATE}=1 pytest tests/api/test_openapi.py`"
        " and read the difference."
    )


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(name.isidentifier() for name in ids)


def test_every_operation_lists_its_failures_as_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        failures = {int(status): body for status, body in operation["responses"].items() if int(status) >= 400}
        assert {401, 403, 500, 503} <= failures.keys(), (method, path)
        assert ("{" in path) <= (404 in failures), (method, path)
        for body in failures.values():
            assert list(body["content"]) == ["application/problem+json"]


def test_the_configuration_is_described_in_full(document: dict[str, Any]) -> None:
    create = document["paths"]["/api/v1/ingestions"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/IngestionConfig"}
    schemas = document["components"]["schemas"]
    assert schemas["IngestionConfig"]["required"] == ["name", "cluster_id", "source", "format", "destination"]
    assert "schema" in schemas["Format"]["properties"]
    assert "from" in schemas["ColumnRule"]["properties"]


def test_every_reference_has_its_target(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= document["components"]["schemas"].keys()


def test_it_asks_for_a_token_or_a_session(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["Bearer"] == {"type": "http", "scheme": "bearer"}
    for _, _, operation in operations(document):
        assert operation["security"] == [{"Bearer": []}, {"Session": []}]
