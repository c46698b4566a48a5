"""A table that is dropped: what goes with it, what stays, and who still remembers it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from autoloader.lib.errors import StaleSession
from clusters.embedded import EmbeddedServer
from tests.engine.loader.feed import Feed, new_session

pytestmark = pytest.mark.spark


@pytest.fixture
def orders(feed: Callable[..., Feed]) -> Feed:
    made = feed()
    made.load(made.csv("first.csv", "id,name\n1,a\n"), batch_id="b1")
    return made


def test_rows_are_counted_by_batch_and_those_of_others_apart(orders: Feed) -> None:
    orders.load(orders.csv("second.csv", "id,name\n2,b\n3,c\n"), batch_id="b2")
    orders.spark.sql(f"INSERT INTO {orders.loader.table} VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)")
    assert orders.loader.rows_by_batch() == {"b1": 1, "b2": 2, "": 1}


def test_in_a_table_without_our_columns_all_rows_are_others(feed: Callable[..., Feed]) -> None:
    made = feed()
    made.spark.sql("CREATE NAMESPACE IF NOT EXISTS local.tests")
    made.spark.sql(f"CREATE TABLE {made.loader.table} (id INT) USING iceberg")
    made.spark.sql(f"INSERT INTO {made.loader.table} VALUES (1), (2)")
    assert made.loader.rows_by_batch() == {"": 2}


def test_a_dropped_table_is_gone_and_can_be_dropped_and_made_again(orders: Feed) -> None:
    orders.loader.drop_table()
    assert orders.loader.state() is None
    orders.loader.drop_table()
    orders.loader.drop_branch("never_there")
    loaded = orders.load(orders.csv("third.csv", "id,name\n5,e\n"))
    assert [row["id"] for row in orders.rows()] == [5]
    assert len(loaded.rows) == 1


def test_a_file_that_was_only_registered_with_it_stays(orders: Feed, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    orders.spark.sql("SELECT 7 AS id, 'z' AS name").write.parquet(f"file://{mine}")
    files = sorted(mine.glob("*.parquet"))
    name = orders.loader.table.split(".", 1)[1].replace("`", "")
    orders.spark.sql(
        f"CALL local.system.add_files(table => '{name}', source_table => '`parquet`.`file://{mine}`')"
    ).collect()
    orders.loader.drop_table()
    assert files
    assert sorted(mine.glob("*.parquet")) == files


def test_a_session_that_remembers_it_finds_it_gone_or_is_told_to_begin_anew(
    orders: Feed, spark_server: EmbeddedServer
) -> None:
    """Which of the two depends on what it has cached; neither may pass for a fault of the table."""
    used, looked = (orders.open(new_session(spark_server.url)) for _ in range(2))
    assert used.state() is not None
    assert len(used.sample_rows(5)) == 1
    assert looked.state() is not None
    orders.loader.drop_table()
    for other in (used, looked):
        with contextlib.suppress(StaleSession):
            assert other.state() is None
    assert orders.open(new_session(spark_server.url)).state() is None
