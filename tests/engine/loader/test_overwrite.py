"""The feed replaces the table or its partitions, at once, however many parts it comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]
BY_DAY = {"write_mode": "overwrite", "partitioning": {"enabled": True, "columns": ["days(at)", "bucket(4, id)"]}}


def rows(feed: Feed) -> list[tuple[Any, ...]]:
    feed.loader.refresh()
    return sorted((row["id"], row["n"]) for row in feed.rows())


def heads(feed: Feed) -> int:
    history, _ = feed.loader.history()
    return len(list(history.ancestors(history.refs["main"])))


def test_the_table_is_replaced(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"})
    orders.load(orders.csv("a.csv", "id,n\n1,1\n2,1\n"))
    loaded = orders.load(orders.csv("b.csv", "id,n\n2,2\n3,2\n"), orders.csv("c.csv", "id,n\n4,2\n"))
    assert rows(orders) == [(2, 2), (3, 2), (4, 2)]
    assert loaded.audit.left == {}
    assert {path.rsplit("/")[-1]: count.rows for path, count in loaded.audit.files.items()} == {"b.csv": 2, "c.csv": 1}


def test_many_parts_are_published_at_once(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"}, limits={"files_per_batch": 2})
    orders.load(orders.csv("old.csv", "id,n\n99,1\n"))
    entries = [orders.csv(f"{at}.csv", f"id,n\n{at},2\n") for at in range(5)]
    orders.evolve(entries)
    attempt = orders.attempt()
    staged = orders.loader.stage(entries, batch_id="b1", attempt=attempt)
    assert rows(orders) == [(99, 1)], "nothing is seen before it is published"
    assert (staged.added_records, len(staged.own)) == (5, 1)
    orders.loader.audit(staged, attempt, entries)
    orders.loader.publish(attempt, staged)
    assert rows(orders) == [(at, 2) for at in range(5)]


@pytest.mark.parametrize("files_per_batch", [1, 100])
def test_only_the_partitions_that_have_new_rows_are_replaced(feed: NewFeed, files_per_batch: int) -> None:
    orders = feed(destination=BY_DAY, limits={"files_per_batch": files_per_batch})
    first = orders.csv("a.csv", "id,n,at\n1,1,2024-01-01T01:00:00Z\n1,5,2024-01-02T01:00:00Z\n2,1,\n")
    orders.load(first)
    loaded = orders.load(
        orders.csv("b.csv", "id,n,at\n1,2,2024-01-01T09:00:00Z\n"),
        orders.csv("c.csv", "id,n,at\n1,3,2024-01-01T08:00:00Z\n2,9,\n"),
    )
    assert rows(orders) == [(1, 2), (1, 3), (1, 5), (2, 9)]
    assert loaded.audit.left is not None
    assert [(file.rsplit("/")[-1], count) for (_, file), count in loaded.audit.left.items()] == [("a.csv", 1)]


def test_a_partitioned_table_can_be_replaced_whole(feed: NewFeed) -> None:
    orders = feed(destination={**BY_DAY, "overwrite_scope": "table"})
    orders.load(orders.csv("a.csv", "id,n,at\n1,1,2024-01-01T01:00:00Z\n1,5,2024-01-02T01:00:00Z\n"))
    orders.load(orders.csv("b.csv", "id,n,at\n7,7,2024-01-01T01:00:00Z\n"))
    assert rows(orders) == [(7, 7)]


def test_a_feed_without_rows_empties_the_table(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"})
    orders.load(orders.csv("a.csv", "id,n\n1,1\n"))
    loaded = orders.load(orders.csv("b.csv", "id,n\n"))
    assert rows(orders) == []
    assert loaded.audit.files == {}


def test_a_published_generation_is_adopted(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "overwrite"})
    orders.load(orders.csv("a.csv", "id,n\n1,1\n"))
    orders.load(orders.csv("b.csv", "id,n\n2,2\n"), batch_id="b1")
    attempt = orders.attempt()
    found = orders.loader.find_batch(attempt.branch, "b1")
    assert found is not None
    adopted = orders.loader.adopted("b1", found)
    assert [count.rows for count in adopted.files.values()] == [1]
    assert adopted.left == {}


def test_a_sorted_table_is_written_in_its_order(feed: NewFeed) -> None:
    orders = feed(destination={"sort_by": ["n desc nulls last", "id"]})
    orders.load(orders.csv("a.csv", "id,n\n1,1\n2,9\n3,5\n4,\n"))
    shown = orders.spark.sql(f"SHOW CREATE TABLE {orders.loader.table}").collect()[0][0]
    assert "'sort-order' = 'n DESC NULLS LAST, id ASC NULLS FIRST'" in shown
    assert [row["n"] for row in orders.rows()] == [9, 5, 1, None]


def test_small_files_are_rewritten_in_z_order(feed: NewFeed) -> None:
    orders = feed(destination={"optimization": {"z_ordering_enabled": True, "z_ordering_columns": ["id", "n"]}})
    for at in range(3):
        orders.load(orders.csv(f"{at}.csv", f"id,n\n{at},{9 - at}\n"))
    assert orders.loader.optimize()["rewritten_data_files_count"] == 3
    assert rows(orders) == [(0, 9), (1, 8), (2, 7)]
    assert orders.loader.batch_counts(orders.rows()[0]["_batch_id"])


def test_properties_are_the_table_s(feed: NewFeed) -> None:
    orders = feed(destination={"properties": {"history.expire.min-snapshots-to-keep": "7", "it's": "a \\ b"}})
    orders.load(orders.csv("a.csv", "id\n1\n"))
    shown = {
        row["key"]: row["value"] for row in orders.spark.sql(f"SHOW TBLPROPERTIES {orders.loader.table}").collect()
    }
    assert shown["history.expire.min-snapshots-to-keep"] == "7"
    assert shown["it's"] == "a \\ b"
