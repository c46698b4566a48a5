"""Overwrite, merge and tables of others, from the files to the ledger that adds up."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from ingestions.models import Batch, Ingestion, LedgerEntry, Run, RunError, SchemaVersion
from tests.engine.loader.feed import new_session
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]


@pytest.fixture
def feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return lambda **config: LocalFeed(tmp_path, spark_server.url, **config)


@pytest.fixture
def foreign_table(spark_server: EmbeddedServer) -> Callable[[str], str]:
    """Makes a table that is nobody's of ours; its name."""

    def make(columns: str) -> str:
        spark = new_session(spark_server.url)
        name = f"foreign_{uuid.uuid4().hex[:10]}"
        spark.sql("CREATE NAMESPACE IF NOT EXISTS local.feeds")
        spark.sql(f"CREATE TABLE local.feeds.{name} ({columns}) USING iceberg")
        return name

    return make


# ---- overwrite


def test_an_overwrite_replaces_and_the_ledger_says_what_was_superseded(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"}, limits={"files_per_batch": 2})
    for at in range(5):
        orders.write(f"a{at}.csv", f"id,n\n{at},1\n")
    run = orders.run()
    assert (run.status, run.batches_done, run.files_loaded) == ("success", 1, 5)
    assert orders.verify().ok
    orders.write("b.csv", "id,n\n7,2\n8,2\n")
    assert orders.run().status == "success"
    assert orders.rows("id", "n") == [(7, 2), (8, 2)]
    assert orders.states() == {**{f"a{at}.csv": "SUPERSEDED" for at in range(5)}, "b.csv": "LOADED"}
    assert (orders.ingestion.files_loaded, orders.ingestion.rows_loaded) == (1, 2)
    assert orders.verify().ok
    again = orders.run()
    assert (again.status, again.files_loaded) == ("success", 0)
    assert orders.rows("id") == [(7,), (8,)]


def test_an_overwrite_of_partitions_counts_what_is_left(feed: NewFeed) -> None:
    by_day = {"enabled": True, "columns": ["days(at)"]}
    orders = feed(destination={"write_mode": "overwrite", "partitioning": by_day})
    orders.write("a.csv", "id,at\n1,2024-01-01T01:00:00Z\n2,2024-01-02T01:00:00Z\n3,2024-01-02T02:00:00Z\n")
    orders.run()
    orders.write("b.csv", "id,at\n9,2024-01-02T05:00:00Z\n")
    orders.run()
    assert orders.rows("id") == [(1,), (9,)]
    entry = LedgerEntry.objects.get(address__endswith="a.csv")
    assert (entry.state, entry.rows) == ("LOADED", 1)
    assert "1 of its 3 rows" in entry.reason
    assert orders.verify().ok


def test_an_overwrite_with_a_file_that_cannot_be_read_leaves_the_table_as_it_was(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"})
    orders.write("a.csv", "id\n1\n")
    orders.run()
    orders.write("b.csv", "id\n2\n")
    bad = orders.write("c.csv", b"\x1f\x8b damaged")
    run = orders.run()
    assert (run.status, run.error_code) == ("failed", "overwrite_incomplete")
    assert "c.csv" in run.error_message
    assert orders.rows("id") == [(1,)]
    assert orders.run().error_code == "overwrite_incomplete", "also when only the others are new"
    bad.write_text("id\n3\n")
    assert orders.run().status == "success"
    assert orders.rows("id") == [(2,), (3,)]
    assert orders.verify().ok


# ---- merge


def test_a_merge_adds_up_over_many_runs(feed: NewFeed) -> None:
    orders = feed(
        destination={"write_mode": "merge", "merge_keys": ["id"], "order_by": "v", "delete_when": "op = 'D'"},
        limits={"files_per_batch": 2},
    )
    orders.write("1.csv", "id,v,op\n1,1,I\n2,1,I\n3,1,I\n")
    orders.write("2.csv", "id,v,op\n1,2,U\n2,0,U\n")
    orders.write("3.csv", "id,v,op\n3,2,D\n4,1,I\n4,3,U\n")
    run = orders.run()
    assert (run.status, run.batches_done, run.rows_done) == ("success", 2, 8)
    assert orders.rows("id", "v") == [(1, 2), (2, 1), (4, 3)]
    details = [batch.detail["merge"] for batch in Batch.objects.order_by("number")]
    assert all(d["read"] == d["inserted"] + d["updated"] + d["deleted"] + d["superseded"] for d in details)
    assert orders.verify().ok
    orders.write("4.csv", "id,v,op\n1,9,D\n5,1,I\n")
    orders.run()
    assert orders.rows("id", "v") == [(2, 1), (4, 3), (5, 1)]
    verified = orders.verify()
    assert verified.ok
    assert (verified.rows_ledger, verified.rows_table) == (10, 3)


def test_a_row_that_somebody_deleted_is_seen_and_the_foreign_snapshot_named(
    feed: NewFeed, spark_server: EmbeddedServer
) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["id"]})
    orders.write("1.csv", "id,n\n1,1\n2,1\n")
    orders.run()
    assert orders.verify().ok
    spark = new_session(spark_server.url)
    spark.sql(f"DELETE FROM local.feeds.{orders.table} WHERE id = 1")
    verified = orders.verify()
    assert not verified.ok
    assert len(verified.foreign_snapshots) == 1


def test_a_foreign_change_is_named_for_an_append_too(feed: NewFeed, spark_server: EmbeddedServer) -> None:
    orders = feed()
    orders.write("1.csv", "id,n\n1,1\n2,1\n")
    orders.run()
    assert orders.verify().foreign_snapshots == []
    new_session(spark_server.url).sql(f"DELETE FROM local.feeds.{orders.table} WHERE id = 1")
    verified = orders.verify()
    assert (verified.ok, verified.difference_count, len(verified.foreign_snapshots)) == (False, 1, 1)


def test_a_duplicate_key_fails_the_run_and_the_files_wait(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["id"]})
    orders.write("1.csv", "id,n\n1,1\n1,2\n")
    run = orders.run()
    assert (run.status, run.error_code) == ("failed", "duplicate_key")
    assert '{"id":1}' in run.error_message
    assert orders.states() == {"1.csv": "DISCOVERED"}


def test_a_file_without_keys_is_set_aside_and_the_others_merge(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["id"], "null_keys": "fail"})
    orders.write("1.csv", "id,n\n1,1\n2,2\n")
    orders.write("2.csv", "id,n\n,1\n")
    run = orders.run()
    assert run.status == "partial"
    assert orders.states() == {"1.csv": "LOADED", "2.csv": "FAILED"}
    assert RunError.objects.get(run=run).error_type == "empty_key"
    assert orders.verify().ok


# ---- tables of others


def test_a_table_of_others_gets_our_columns_by_a_shown_alter(
    feed: NewFeed, foreign_table: Callable[[str], str], spark_server: EmbeddedServer
) -> None:
    table = foreign_table("id bigint, name string, kept int")
    new_session(spark_server.url).sql(f"INSERT INTO local.feeds.{table} VALUES (0, 'theirs', 1)")
    orders = feed(destination={"table": table})
    orders.write("a.csv", "id,name,more\n1,a,x\n")
    run = orders.run()
    assert run.status == "success", run.error_message
    assert orders.rows("id", "name", "more") == [(0, "theirs", None), (1, "a", "x")]
    ddl = Batch.objects.get().ddl
    assert any("`_source_file`" in statement for statement in ddl)
    assert any("`more`" in statement for statement in ddl)
    verified = orders.verify()
    assert (verified.ok, verified.foreign_rows) == (True, 1)
    assert not orders.ingestion.created_table


def test_a_table_made_before_a_crash_is_this_ingestion_s_own(feed: NewFeed) -> None:
    orders = feed()
    orders.write("a.csv", "id,odd\n" + "".join(f"{n},{n}\n" for n in range(50)) + "51,word\n")
    orders.run()
    SchemaVersion.objects.all().delete()  # as if the worker had died right after its CREATE TABLE
    Ingestion.objects.update(created_table=False)
    orders.write("b.csv", "id,odd\n1,not a number\n")
    assert orders.run().status == "success", "it is no table of others, whose types would have to fit"
    assert orders.ingestion.created_table
    assert orders.verify().ok


def test_a_type_clash_is_refused_with_both_sides_named(feed: NewFeed, foreign_table: Callable[[str], str]) -> None:
    orders = feed(destination={"table": foreign_table("id bigint, day date")})
    orders.write("a.csv", "id,day\n1,soon\n2,later\n")
    run = orders.run()
    assert (run.status, run.error_code) == ("failed", "type_clash")
    assert "“day” is date in local.feeds." in run.error_message
    assert "string in the files" in run.error_message
    assert orders.rows("id", "_batch_id") == []
    assert orders.states() == {"a.csv": "DISCOVERED"}


def test_a_required_column_that_no_file_has_is_refused(feed: NewFeed, foreign_table: Callable[[str], str]) -> None:
    orders = feed(destination={"table": foreign_table("id bigint, shop string NOT NULL")})
    orders.write("a.csv", "id\n1\n")
    run = orders.run()
    assert (run.status, run.error_code) == ("failed", "required_column")
    assert "“shop”" in run.error_message
    assert orders.states() == {"a.csv": "DISCOVERED"}


def test_a_required_column_that_the_files_fill_is_loaded(feed: NewFeed, foreign_table: Callable[[str], str]) -> None:
    orders = feed(destination={"table": foreign_table("id bigint, shop string NOT NULL")})
    orders.write("a.csv", "id,shop\n1,x\n")
    assert orders.run().status == "success"
    assert orders.rows("id", "shop") == [(1, "x")]


def test_a_z_ordered_table_is_rewritten_after_its_run(feed: NewFeed) -> None:
    orders = feed(
        destination={"optimization": {"z_ordering_enabled": True, "z_ordering_columns": ["id", "n"]}},
        limits={"files_per_batch": 1},
    )
    for at in range(3):
        orders.write(f"{at}.csv", f"id,n\n{at},1\n")
    assert orders.run().status == "success"
    with_files = Run.objects.count()
    assert with_files == 1
    verified = orders.verify()
    assert (verified.ok, verified.foreign_snapshots) == (True, [])
    assert orders.rows("id") == [(0,), (1,), (2,)]
