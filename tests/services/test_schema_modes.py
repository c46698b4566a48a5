"""Each evolution mode, from files that bring something new to the table, the ledger and what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoloader.lib.errors import ConflictError
from clusters.embedded import EmbeddedServer
from ingestions.models import Batch, LedgerEntry, SchemaChange, SchemaVersion
from ingestions.services.schema_review import change_approve, change_reject
from ingestions.services.table import table_open
from tests.engine.loader.feed import new_session
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]


@pytest.fixture
def feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]

    def make(type_: str, mode: str, schema: dict[str, Any] | None = None, **config: Any) -> LocalFeed:
        format_ = {"type": type_, "schema": {"evolution_mode": mode, **(schema or {})}}
        return LocalFeed(tmp_path, spark_server.url, format=format_, **config)

    return make


def lines(*records: Any) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def columns(feed: LocalFeed) -> dict[str, str]:
    with table_open(ingestion=feed.ingestion) as loader:
        state = loader.state()
    assert state is not None
    return {column.name: column.type for column in state.own_columns}


def rescued(feed: LocalFeed) -> list[dict[str, str]]:
    found = [json.loads(text) for (text,) in feed.rows("_rescued_data") if text]
    return [{key: value for key, value in each.items() if key != "_file_path"} for each in found]


def versions(feed: LocalFeed) -> list[SchemaVersion]:
    return list(SchemaVersion.objects.filter(ingestion=feed.ingestion).order_by("number"))


# ---- addNewColumns


def test_fields_inside_of_columns_are_added_too(feed: NewFeed) -> None:
    rows = feed("json", "addNewColumns")
    rows.write("a.json", lines({"id": 1, "who": {"name": "Ann"}, "items": [{"n": 1}]}))
    assert rows.run().status == "success"
    rows.write("b.json", lines({"id": 2, "who": {"name": "Bob", "age": 7}, "items": [{"n": 2, "price": 1.5}]}))
    assert rows.run().status == "success"
    assert columns(rows) == {
        "id": "bigint",
        "who": "struct<name:string,age:bigint>",
        "items": "array<struct<n:bigint,price:double>>",
    }
    assert rescued(rows) == []
    assert rows.rows("who", "items")[1] == ({"name": "Bob", "age": 7}, [{"n": 2, "price": 1.5}])
    last = versions(rows)[-1]
    assert "ADD COLUMNS" in last.ddl[0]
    assert "`items`.`element`.`price` double" in last.ddl[0]
    assert [name.rsplit("/", 1)[-1] for name in last.files] == ["b.json"]
    assert rows.verify().ok


def test_a_value_that_does_not_fit_is_rescued_and_its_row_stays(feed: NewFeed) -> None:
    rows = feed("json", "addNewColumns", {"hints": {"n": "int"}})
    rows.write("a.json", lines({"id": 1, "n": 1}))
    rows.run()
    rows.write("b.json", lines({"id": 2, "n": 3_000_000_000}))
    assert rows.run().status == "success"
    assert columns(rows)["n"] == "int"
    assert rescued(rows) == [{"n": "3000000000"}]


def test_a_parquet_file_tells_its_new_fields_by_its_schema(feed: NewFeed, spark_server: EmbeddedServer) -> None:
    rows = feed("parquet", "addNewColumns")
    at = datetime(2024, 1, 1, 2, 3, 4, 123456, UTC)

    def put(name: str, *whos: dict[str, Any] | None) -> None:
        path = rows.write(name, b"")
        pq.write_table(pa.table({"id": range(len(whos)), "who": list(whos)}), path)

    put("a.parquet", {"at": at, "raw": b"\x00\xff", "deep": [{"n": 1}]})
    rows.run()
    put("b.parquet", {"at": at, "raw": b"\x01", "deep": [{"n": 2, "m": {"x": 1.5}}], "more": "x"}, None)
    assert rows.run().status == "success"
    put("c.parquet", {"at": at, "raw": b"\x02", "deep": [{"n": 3}]})
    run = rows.run()
    assert (run.status, run.rows_rescued) == ("success", 0)
    wanted = "struct<at:timestamp,deep:array<struct<n:bigint,m:struct<x:double>>>,raw:binary,more:string>"
    assert columns(rows)["who"] == wanted
    table = new_session(spark_server.url).table(f"local.feeds.{rows.table}").where("who IS NOT NULL")
    found = table.selectExpr("string(who.at)", "base64(who.raw)", "who.deep[0].n", "who.deep[0].m.x", "who.more")
    assert sorted((tuple(row) for row in found.collect()), key=lambda row: row[2]) == [
        ("2024-01-01 02:03:04.123456", "AP8=", 1, None, None),
        ("2024-01-01 02:03:04.123456", "AQ==", 2, 1.5, "x"),
        ("2024-01-01 02:03:04.123456", "Ag==", 3, None, None),
    ]
    assert [len(version.ddl) for version in versions(rows)] == [2, 1]


# ---- addNewColumnsWithTypeWidening


def test_types_become_wider_where_iceberg_can_widen_them(feed: NewFeed) -> None:
    hints = {"n": "int", "f": "float", "d": "decimal(5,2)", "t": "int"}
    rows = feed("json", "addNewColumnsWithTypeWidening", {"hints": hints})
    rows.write("a.json", lines({"id": 1, "n": 1, "f": 0.5, "d": 1.25, "t": 1}))
    rows.run()
    rows.write("b.json", lines({"id": 2, "n": 3_000_000_000, "f": 1.123456789, "d": 123456.75, "t": "x", "new": 1}))
    assert rows.run().status == "success"
    assert columns(rows) == {
        "id": "bigint", "n": "bigint", "f": "double", "d": "decimal(8,2)", "t": "int", "new": "bigint"
    }  # fmt: skip
    assert rescued(rows) == [{"t": "x"}]
    assert rows.rows("id", "n", "f") == [(1, 1, 0.5), (2, 3_000_000_000, 1.123456789)]
    assert any("ALTER COLUMN `d` TYPE decimal(8,2)" in text for version in versions(rows) for text in version.ddl)


# ---- rescue


def test_rescue_changes_nothing_of_the_table(feed: NewFeed) -> None:
    rows = feed("csv", "rescue")
    rows.write("a.csv", "id\n1\n")
    rows.run()
    rows.write("b.csv", "id,more\n2,x\n")
    assert rows.run().status == "success"
    assert columns(rows) == {"id": "bigint"}
    assert rescued(rows) == [{"more": "x"}]


# ---- none


@pytest.mark.parametrize("schema", [{}, {"evolution_mode": "addNewColumns", "evolution_enabled": False}])
def test_none_drops_new_columns_and_counts_them(feed: NewFeed, schema: dict[str, Any]) -> None:
    rows = feed("csv", "none", schema)
    rows.write("a.csv", "id\n1\n")
    assert rows.run().values_dropped == 0
    rows.write("b.csv", "id,more,less\n2,x,\n3,y,z\nfour,,\n")
    rows.write("c.csv", "id\n5\n")
    run = rows.run()
    assert (run.status, run.values_dropped) == ("success", 3)
    assert columns(rows) == {"id": "bigint"}
    assert rescued(rows) == [{"id": "four"}]
    dropped = LedgerEntry.objects.filter(ingestion=rows.ingestion).values_list("address", "dropped_values")
    assert {address.rsplit("/", 1)[-1]: count for address, count in dropped} == {
        "a.csv": None,
        "b.csv": 3,
        "c.csv": None,
    }
    assert Batch.objects.filter(run=run).get().detail["dropped"] == {"more": 2, "less": 1}
    assert rows.verify().ok


def test_none_drops_unknown_keys_of_json_and_rescues_what_is_inside_of_columns(feed: NewFeed) -> None:
    rows = feed("json", "none")
    rows.write("a.json", lines({"id": 1, "who": {"name": "Ann"}}))
    rows.run()
    rows.write("b.json", lines({"id": 2, "who": {"name": "Bob", "age": 7}, "x": 1}, {"id": 3, "x": None, "y": [1]}))
    run = rows.run()
    assert (run.status, run.values_dropped) == ("success", 2)
    assert [json.loads(each["who"]) for each in rescued(rows)] == [{"name": "Bob", "age": 7}]
    assert Batch.objects.filter(run=run).get().detail["dropped"] == {"x": 1, "y": 1}


# ---- failOnNewColumns


@pytest.mark.parametrize("type_", ["csv", "json"])
def test_failing_publishes_nothing_of_the_run_and_says_what_would_change(feed: NewFeed, type_: str) -> None:
    rows = feed(type_, "failOnNewColumns", limits={"files_per_batch": 1})

    def put(name: str, **record: Any) -> None:
        text = (
            lines(record) if type_ == "json" else ",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n"
        )
        rows.write(f"{name}.{type_}", text)

    put("a", id=1)
    assert rows.run().status == "success"
    for name in ("b", "c", "d", "e"):
        put(name, id=2)
    put("f", id=3, fresh=7)
    run = rows.run()
    assert run.status == "failed"
    assert run.error_code == "new_columns"
    for part in ("fresh bigint", f"f.{type_}", "ALTER TABLE", "ADD COLUMNS (`fresh` bigint)", "Nothing of this run"):
        assert part in run.error_message, part
    assert rows.rows("id") == [(1,)]
    assert columns(rows) == {"id": "bigint"}
    assert rows.states() == {f"a.{type_}": "LOADED", **{f"{name}.{type_}": "DISCOVERED" for name in "bcdef"}}
    put("f", id=4)
    again = rows.run()
    assert (again.status, again.files_loaded, again.batches_done) == ("success", 5, 1)
    assert rows.rows("id") == [(1,), (2,), (2,), (2,), (2,), (4,)]
    assert rows.verify().ok


def test_the_first_run_of_a_strict_feed_takes_what_all_of_its_files_have(feed: NewFeed) -> None:
    rows = feed("json", "failOnNewColumns", {"sample_files": 1})
    rows.write("a.json", lines({"id": 1}))
    rows.write("b.json", lines({"id": 2, "more": "x"}))
    assert rows.run().status == "success"
    assert columns(rows) == {"id": "bigint", "more": "string"}
    assert rescued(rows) == []


# ---- review


def test_affected_files_wait_for_a_person_and_the_others_load(feed: NewFeed) -> None:
    rows = feed("json", "review")
    rows.write("a.json", lines({"id": 1}))
    assert rows.run().status == "success"
    rows.write("b.json", lines({"id": 2}))
    rows.write("c.json", lines({"id": 3, "fresh": 7}, {"id": 4}))
    run = rows.run()
    assert (run.status, run.files_loaded, run.files_held) == ("partial", 1, 1)
    assert rows.rows("id") == [(1,), (2,)]
    assert columns(rows) == {"id": "bigint"}
    assert rows.states() == {"a.json": "LOADED", "b.json": "LOADED", "c.json": "DISCOVERED"}
    held = LedgerEntry.objects.get(ingestion=rows.ingestion, address__endswith="c.json")
    assert held.reason == "waiting for schema change #1"
    assert rows.ingestion.changes_pending == 1
    change = SchemaChange.objects.get(ingestion=rows.ingestion)
    assert "ADD COLUMNS (`fresh` bigint)" in change.ddl[0]
    assert list(change.files.all()) == [held]

    rows.write("d.json", lines({"id": 5, "fresh": "later"}))
    rows.write("e.json", lines({"id": 6, "fresh": 8, "other": True}))
    second = rows.run()
    assert (second.status, second.files_loaded, second.files_held) == ("partial", 0, 2)
    assert sorted(entry.address[-6:] for entry in change.files.all()) == ["c.json", "d.json", "e.json"]
    both = LedgerEntry.objects.get(ingestion=rows.ingestion, address__endswith="e.json")
    assert both.reason == "waiting for schema change #1 and #2"

    assert change_approve(change=change, user=rows.owner).files == 2
    both.refresh_from_db()
    assert both.reason == "waiting for schema change #2"
    third = rows.run()
    assert (third.status, third.files_loaded) == ("success", 2)
    assert rows.rows("id", "fresh") == [(1, None), (2, None), (3, 7), (4, None), (5, None)]
    assert rescued(rows) == [{"fresh": "later"}]
    change.refresh_from_db()
    assert (change.status, change.version and change.version.actor) == ("applied", rows.owner)

    other = SchemaChange.objects.get(ingestion=rows.ingestion, number=2)
    change_reject(change=other, user=rows.owner)
    assert rows.ingestion.changes_pending == 0
    assert rows.run().status == "success"
    rows.write("f.json", lines({"id": 7, "other": False}))
    last = rows.run()
    assert (last.status, last.files_loaded) == ("success", 1)
    assert columns(rows) == {"id": "bigint", "fresh": "bigint"}
    assert sorted(map(str, rescued(rows))) == ["{'fresh': 'later'}", "{'other': 'false'}", "{'other': 'true'}"]
    assert rows.verify().ok
    with pytest.raises(ConflictError, match="rejected already"):
        change_approve(change=other, user=rows.owner)


def test_review_asks_by_the_header_of_a_csv_before_anything_is_written(feed: NewFeed) -> None:
    rows = feed("csv", "review")
    rows.write("a.csv", "id\n1\n")
    rows.run()
    rows.write("b.csv", "id,more\n2,x\n")
    run = rows.run()
    assert (run.status, run.files_held, run.batches_done) == ("partial", 1, 0)
    assert not Batch.objects.filter(ingestion=rows.ingestion, state=Batch.State.OPEN).exists()
    idle = rows.run()
    assert (idle.status, idle.files_total) == ("success", 0)
    assert "1 file waits" in idle.hint


def test_review_asks_about_wider_types_and_fields_inside(feed: NewFeed) -> None:
    rows = feed("json", "review", {"hints": {"n": "int"}})
    rows.write("a.json", lines({"id": 1, "n": 1, "who": {"name": "Ann"}}))
    rows.run()
    rows.write("b.json", lines({"id": 2, "n": 3_000_000_000, "who": {"name": "Bob", "age": 7}}))
    assert rows.run().status == "partial"
    change = SchemaChange.objects.get(ingestion=rows.ingestion)
    assert sorted(each["kind"] for each in change.changes) == ["added", "widened"]
    assert len(change.ddl) == 2
    change_approve(change=change, user=rows.owner)
    assert rows.run().status == "success"
    assert rows.rows("n", "who")[1] == (3_000_000_000, {"name": "Bob", "age": 7})
    assert rescued(rows) == []


def test_an_overwrite_waits_as_a_whole(feed: NewFeed) -> None:
    rows = feed("csv", "review", destination={"write_mode": "overwrite"})
    rows.write("a.csv", "id\n1\n")
    rows.run()
    rows.write("b.csv", "id,more\n2,x\n")
    rows.write("c.csv", "id\n3\n")
    run = rows.run()
    assert (run.status, run.files_held, run.files_loaded) == ("partial", 2, 0)
    assert rows.rows("id") == [(1,)]
    change_approve(change=SchemaChange.objects.get(ingestion=rows.ingestion), user=rows.owner)
    assert rows.run().status == "success"
    assert rows.rows("id", "more") == [(2, "x"), (3, None)]


def test_another_mode_needs_no_decision(feed: NewFeed) -> None:
    from ingestions.services.editing import ingestion_update

    rows = feed("csv", "review")
    rows.write("a.csv", "id\n1\n")
    rows.run()
    rows.write("b.csv", "id,more\n2,x\n")
    rows.run()
    changes = {"format": {"schema": {"evolution_mode": "addNewColumns"}}}
    ingestion_update(ingestion=rows.ingestion, changes=changes, user=rows.owner)
    run = rows.run()
    assert (run.status, run.files_loaded) == ("success", 1)
    assert SchemaChange.objects.get(ingestion=rows.ingestion).status == "withdrawn"
    assert rows.ingestion.changes_pending == 0
    assert rows.rows("id", "more") == [(1, None), (2, "x")]
