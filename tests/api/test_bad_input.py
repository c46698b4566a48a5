"""What a wrong or contradictory field gets: an error that names it, and nothing made."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion
from ingestions.services.merging import merged
from tests.api.support import check_problem
from tests.cast import Api, configuration

DDL = "id bigint, name string"

#: (dotted field at fault, changes)
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "a\x1b[31m"}),
    ("source.path", {"source": {"path": "s3://shop/../secret/"}}),
    ("source.path", {"source": {"path": "s3:///orders/"}}),
    ("source.path", {"source": {"path": "s3://"}}),
    ("source.path", {"source": {"path": "https://shop.example/orders/"}}),
    ("source.path", {"source": {"path": "/data/orders"}}),
    ("source.path", {"source": {"path": "s3://shop//orders/"}}),
    ("source.path", {"source": {"path": "s3://key:hunter2@shop/orders/"}}),
    ("source.file_pattern", {"source": {"file_pattern": "[9-0].csv"}}),
    ("source.file_pattern", {"source": {"file_pattern": "*" * 2000}}),
    ("source.exclude_pattern", {"source": {"exclude_pattern": "[9-0]"}}),
    ("source.exclude_pattern", {"source": {"exclude_pattern": "*"}}),
    ("source.exclude_pattern", {"source": {"exclude_pattern": "*.csv"}}),
    ("source.max_bytes", {"source": {"min_bytes": 5, "max_bytes": 4}}),
    (
        "source.modified_before",
        {"source": {"modified_after": "2025-01-02T00:00:00Z", "modified_before": "2025-01-02T01:00:00+01:00"}},
    ),
    ("source.after_load.to", {"source": {"after_load": {"action": "archive"}}}),
    ("source.after_load.to", {"source": {"after_load": {"action": "delete", "to": "s3://shop/done/"}}}),
    ("source.after_load.to", {"source": {"after_load": {"action": "archive", "to": "ftp://shop/done/"}}}),
    ("source.after_load.to", {"source": {"after_load": {"action": "archive", "to": "s3://shop/orders/done/"}}}),
    ("source.credentials.account_key", {"source": {"credentials": {"account_key": "k"}}}),
    ("source.credentials", {"source": {"credentials": {"aws_access_key_id": "k"}}}),
    ("source.credentials.endpoint_url", {"source": {"credentials": {"ambient": True, "endpoint_url": "ftp://x"}}}),
    ("source.credential_id", {"source": {"credential_id": "nowhere"}}),
    ("source.type", {"source": {"type": "gcs", "path": "gs://shop/"}}),
    ("format.options.row_tag", {"format": {"options": {"row_tag": "r"}}}),
    ("format.options.date_format", {"format": {"options": {"date_format": "dd.MM"}}}),
    ("format.options.delimiter", {"format": {"options": {"delimiter": "ab"}}}),
    ("format.options.encoding", {"format": {"options": {"encoding": "utf-7"}}}),
    ("format.options.compression", {"format": {"options": {"compression": "rar"}}}),
    ("format.timezone", {"format": {"timezone": "europe/berlin"}}),
    ("format.timezone", {"format": {"timezone": "US/Eastern"}}),
    ("format.timezone", {"format": {"timezone": "EST5EDT"}}),
    ("format.timezone", {"format": {"timezone": "localtime"}}),
    ("format.timezone", {"format": {"timezone": "../../etc/passwd"}}),
    ("format.columns.1.to", {"format": {"columns": [{"from": "a", "to": "x"}, {"from": "b", "to": "X"}]}}),
    ("format.columns.1.from", {"format": {"columns": [{"from": "a", "to": "x"}, {"from": "a", "to": "y"}]}}),
    ("format.columns.0.drop", {"format": {"columns": [{"from": "a", "to": "x", "drop": True}]}}),
    ("format.columns.0.type", {"format": {"columns": [{"from": "a", "type": "number"}]}}),
    ("format.columns.0.to", {"format": {"columns": [{"from": "a", "to": "_source_file"}]}}),
    ("format.columns.0.to", {"format": {"columns": [{"from": "a", "to": " "}]}}),
    ("format.schema.hints.id", {"format": {"schema": {"hints": {"id": "bigint)"}}}}),
    ("format.schema.hints.id", {"format": {"schema": {"hints": {"id": "decimal(99,2)"}}}}),
    ("format.schema.hints.id", {"format": {"schema": {"hints": {"id": "array<" * 2000}}}}),
    (
        "format.schema.hints.id",
        {"format": {"schema": {"hints": {"id": "int"}}, "columns": [{"from": "a", "to": "id", "type": "bigint"}]}},
    ),
    ("format.schema.schema_json", {"format": {"schema": {"inference": "manual"}}}),
    ("format.schema.schema_json", {"format": {"schema": {"schema_json": DDL}}}),
    *(
        ("format.schema.schema_json", {"format": {"schema": {"inference": "manual", "schema_json": wrong}}})
        for wrong in (
            "", "id", "{", "id bigint, ID int", "id fax", "{}", {}, {"type": "struct"},
            {"type": "struct", "fields": []}, {"type": "struct", "fields": 3},
            {"type": "struct", "fields": [{"name": "a"}]},
            {"type": "struct", "fields": [{"name": "", "type": "int"}]},
        )
    ),
    ("destination.table", {"destination": {"table": "a\nb"}}),
    ("destination.table", {"destination": {"table": ".."}}),
    ("destination.table", {"destination": {"table": "../../x"}}),
    ("destination.database", {"destination": {"database": "   "}}),
    ("destination.merge_keys", {"destination": {"write_mode": "merge"}}),
    ("destination.merge_keys", {"destination": {"write_mode": "merge", "merge_keys": ["id", "ID"]}}),
    ("destination.merge_keys", {"destination": {"write_mode": "merge", "merge_keys": [""]}}),
    ("destination.merge_keys", {"destination": {"merge_keys": ["id"]}}),
    ("destination.order_by", {"destination": {"order_by": "ts", "write_mode": "overwrite"}}),
    ("destination.order_by", {"destination": {"order_by": "id", "write_mode": "merge", "merge_keys": ["id"]}}),
    ("destination.delete_when", {"destination": {"delete_when": "op = 'D'"}}),
    ("destination.null_keys", {"destination": {"null_keys": "fail"}}),
    ("destination.sort_by", {"destination": {"sort_by": ["ts down"]}}),
    ("destination.sort_by", {"destination": {"sort_by": ["ts", "ts"]}}),
    ("destination.sort_by", {"destination": {"sort_by": ["ts; drop table x"]}}),
    ("destination.partitioning.columns", {"destination": {"partitioning": {"enabled": True}}}),
    *(
        ("destination.partitioning.columns", {"destination": {"partitioning": {"enabled": True, "columns": [wrong]}}})
        for wrong in ("week(ts)", "bucket(id)", "bucket(0, id)", "bucket(16)", "days(a, b)", "days()", "days(ts", "")
    ),
    (
        "destination.optimization.z_ordering_columns",
        {"destination": {"optimization": {"z_ordering_enabled": True}}},
    ),
    *(
        (f"destination.properties.{key}", {"destination": {"properties": {key: value}}})
        for key, value in (
            ("write.spark.accept-any-schema", "true"),
            ("write.wap.enabled", "true"),
            ("format-version", "1"),
            ("provider", "csv"),
            ("location", "/etc"),
        )
    ),
    ("schedule.cron_expression", {"schedule": {"frequency": "custom"}}),
    ("schedule.cron_expression", {"schedule": {"cron_expression": "0 0 * * *"}}),
    *(
        ("schedule.cron_expression", {"schedule": {"frequency": "custom", "cron_expression": wrong}})
        for wrong in (
            "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
            "5-1 * * * *", "*/0 * * * *", "a * * * *", "0 0 30 2 *", "@daily", "1,,2 * * * *",
            "-1 * * * *", "* * * * MON-", "¹ * * * *",
        )
    ),
    *(("schedule.time", {"schedule": {"time": wrong}}) for wrong in ("2:30", "24:00", "12:60", "02:30:00", "noon", "")),
    ("schedule.timezone", {"schedule": {"timezone": "Mars/Olympus"}}),
    ("schedule.backfill.start_date", {"schedule": {"start": "from_date"}}),
    ("schedule.backfill.start_date", {"schedule": {"backfill": {"enabled": True}}}),
    (
        "schedule.backfill.enabled",
        {"schedule": {"start": "new_only", "backfill": {"enabled": True, "start_date": "2025-01-01T00:00:00Z"}}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("field", "changes"), WRONG)
def test_a_wrong_field_is_named_and_nothing_is_made(
    as_owner: Api, cluster: Cluster, field: str, changes: dict[str, Any]
) -> None:
    response = as_owner.post("/ingestions", merged(configuration(cluster), changes))
    assert response.status_code == 400, response.content
    problem = check_problem(response, 400, response.json()["code"])
    assert problem["field"] == field
    assert problem["hint"] or problem["code"] == "unknown_credential"
    assert b"hunter2" not in response.content
    assert not Ingestion.objects.exists()
    assert not Credential.objects.exists()


#: what has the wrong type, or is out of bounds: (dotted field, changes)
INVALID: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "x" * 201}),
    ("source.zebra", {"source": {"zebra": 1}}),
    ("source.min_bytes", {"source": {"min_bytes": -1}}),
    ("source.max_bytes", {"source": {"max_bytes": 10**30}}),
    ("source.settle_seconds", {"source": {"settle_seconds": 10**30}}),
    ("source.modified_after", {"source": {"modified_after": "yesterday"}}),
    ("destination.table", {"destination": {"table": ""}}),
    ("destination.table", {"destination": {"table": "x" * 256}}),
    ("destination.write_mode", {"destination": {"write_mode": "upsert"}}),
    ("destination.delete_when", {"destination": {"delete_when": "x" * 2001}}),
    ("schedule.frequency", {"schedule": {"frequency": "yearly"}}),
    ("schedule.poll_seconds", {"schedule": {"poll_seconds": 0}}),
    ("limits.files_per_batch", {"limits": {"files_per_batch": 0}}),
    ("limits.bytes_per_batch", {"limits": {"bytes_per_batch": 2**63}}),
    ("limits.monthly_budget", {"limits": {"monthly_budget": "inf"}}),
    ("limits.priority", {"limits": {"priority": 10**30}}),
]


@pytest.mark.parametrize(("field", "changes"), INVALID)
def test_a_value_of_the_wrong_type_or_size_is_a_422(
    as_owner: Api, cluster: Cluster, field: str, changes: dict[str, Any]
) -> None:
    response = as_owner.post("/ingestions", merged(configuration(cluster), changes))
    problem = check_problem(response, 422, "invalid_request")
    assert [error["loc"] for error in problem["errors"]] == [field]
    assert not Ingestion.objects.exists()


def test_every_fault_is_listed(as_owner: Api, cluster: Cluster) -> None:
    body = configuration(cluster, schedule={"time": "noon", "frequency": "custom"})
    problem = check_problem(as_owner.post("/ingestions", body), 400, "missing_field")
    assert [error["loc"] for error in problem["errors"]] == ["schedule.cron_expression", "schedule.time"]


@pytest.mark.parametrize(
    "changes",
    [
        {"destination": {"table": "select", "database": "a.b", "catalog": "x y"}},
        {"destination": {"table": "x`; DROP TABLE y; --", "database": "💥"}},
        {"name": "Robert'); DROP TABLE ingestions;--"},
        {"format": {"columns": [{"from": "a.b c`d💥", "to": "select", "type": "int", "drop": False}]}},
        {"format": {"schema": {"hints": {"a b.c`": "bigint"}}}},
        {"source": {"path": "s3://shop/a+b %20 ü'\";/"}},
        {"source": {"file_pattern": "['; DROP*"}},
        {"destination": {"partitioning": {"enabled": True, "columns": ["days(ts)", "bucket(16, a b)", "`x(y)`"]}}},
        {"destination": {"sort_by": ["ts desc", "`a b` asc nulls last", "bucket(4, id)"]}},
        {"destination": {"write_mode": "merge", "merge_keys": ["id", "a b"], "order_by": "ts", "null_keys": "fail"}},
        {"destination": {"write_mode": "overwrite"}},
        {"destination": {"properties": {"write.parquet.page-size-bytes": "1048576", "write.wap.enabled": "false"}}},
        {"schedule": {"frequency": "custom", "cron_expression": "*/15 0-6,22 1,15 JAN-MAR mon-fri"}},
        {"schedule": {"frequency": "custom", "cron_expression": "0 0 31 2 MON"}},
        {"schedule": {"frequency": "daily", "time": "23:59", "timezone": "America/Argentina/Buenos_Aires"}},
        {"schedule": {"start": "from_date", "backfill": {"start_date": "2025-01-01T00:00:00Z"}}},
        {"format": {"schema": {"inference": "manual", "schema_json": DDL}}},
        {
            "format": {
                "schema": {
                    "inference": "manual",
                    "schema_json": {"type": "struct", "fields": [{"name": "a", "type": "long", "nullable": True}]},
                }
            }
        },
        {"source": {"after_load": {"action": "archive", "to": "s3://shop/done/"}}},
        {"format": {"timezone": "Etc/GMT+5"}},
    ],
)  # fmt: skip
def test_what_can_be_held_is_kept_as_it_was_written(as_owner: Api, cluster: Cluster, changes: dict[str, Any]) -> None:
    body = merged(configuration(cluster), changes)
    response = as_owner.post("/ingestions", body)
    assert response.status_code == 201, response.content
    assert merged(response.json(), changes) == response.json()


@pytest.mark.parametrize(("method", "more"), [("POST", ""), ("PUT", "/{pk}"), ("POST", "/{pk}/clone")])
def test_a_body_that_is_too_large_is_a_413(
    as_owner: Api, ingestion: Ingestion, settings: Any, method: str, more: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    path = f"/ingestions{more.format(pk=ingestion.pk)}"
    check_problem(as_owner.call(method, path, {"name": "x" * 1000}), 413, "body_too_large")
    assert Ingestion.objects.get().name == "Orders"
