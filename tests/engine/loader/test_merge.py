"""One row a key: which row counts, what is deleted, what becomes of rows without a key, and that it adds up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from autoloader.lib.errors import AutoloaderError, ConfigError, DataStop, FileError
from tests.engine.loader.feed import Feed, Loaded

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]
BY_ID: dict[str, Any] = {"write_mode": "merge", "merge_keys": ["id"]}
ORDERED = {**BY_ID, "order_by": "v"}


def table(feed: Feed, *names: str) -> list[tuple[Any, ...]]:
    """These columns of the table's rows, in order."""
    feed.loader.refresh()
    return sorted((tuple(row[name] for name in names) for row in feed.rows()), key=repr)


def merge(loaded: Loaded) -> dict[str, int]:
    found: Any = loaded.audit.detail["merge"]
    return {key: count for key, count in found.items() if count}


def left_over(feed: Feed) -> list[str]:
    """Tables of ours that stand beside the destination."""
    names = [row["tableName"] for row in feed.spark.sql("SHOW TABLES IN local.tests").collect()]
    return [name for name in names if name.startswith("al_")]


def test_new_keys_are_inserted_and_known_ones_updated(feed: NewFeed) -> None:
    orders = feed(destination=BY_ID)
    first = orders.load(orders.csv("a.csv", "id,name\n1,a\n2,b\n"))
    assert merge(first) == {"read": 2, "inserted": 2}
    second = orders.load(orders.csv("b.csv", "id,name\n2,B\n3,c\n"))
    assert merge(second) == {"read": 2, "inserted": 1, "updated": 1}
    assert table(orders, "id", "name") == [(1, "a"), (2, "B"), (3, "c")]
    assert {path.rsplit("/")[-1]: count.rows for path, count in second.audit.files.items()} == {"b.csv": 2}


def test_the_order_column_decides_in_the_batch_and_against_the_table(feed: NewFeed) -> None:
    orders = feed(destination=ORDERED)
    one = orders.load(orders.csv("a.csv", "id,v,name\n1,5,new\n1,3,old\n2,1,x\n"))
    assert merge(one) == {"read": 3, "inserted": 2, "superseded": 1}
    late = orders.load(orders.csv("b.csv", "id,v,name\n1,4,late\n2,2,y\n2,,empty\n"))
    assert merge(late) == {"read": 3, "updated": 1, "superseded": 2}
    assert table(orders, "id", "v", "name") == [(1, 5, "new"), (2, 2, "y")]


def test_equal_order_is_decided_by_the_file_s_time_then_by_the_row(feed: NewFeed) -> None:
    import os

    orders = feed(destination=ORDERED)
    older = orders.csv("z.csv", "id,v,name\n1,1,older file\n2,1,first row\n2,1,second row\n")
    newer = orders.csv("a.csv", "id,v,name\n1,1,newer file\n")
    os.utime(orders.folder / "z.csv", (1_700_000_000, 1_700_000_000))
    os.utime(orders.folder / "a.csv", (1_700_000_100, 1_700_000_100))
    assert older.shape is not None
    assert newer.shape is not None
    orders.load(orders.entry("z.csv", older.shape), orders.entry("a.csv", newer.shape))
    assert table(orders, "id", "name") == [(1, "newer file"), (2, "second row")]


def test_rows_of_a_long_file_keep_their_order(feed: NewFeed) -> None:
    orders = feed(destination=ORDERED)
    orders.spark.conf.set("spark.sql.files.maxPartitionBytes", "20000")
    try:
        lines = [json.dumps({"id": 1, "v": 1, "name": f"{n:06}", "pad": "x" * 60}) for n in range(2000)]
        orders.load(orders.json("a.json", *lines))
    finally:
        orders.spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert table(orders, "name") == [("001999",)]


def test_a_duplicate_without_an_order_is_an_error_that_names_the_key(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["shop", "id"]})
    orders.load(orders.csv("a.csv", "shop,id,name\nx,1,a\n"))
    with pytest.raises(DataStop) as stopped:
        orders.load(orders.csv("b.csv", "shop,id,name\nx,7,a\n"), orders.csv("c.csv", "shop,id,name\nx,7,b\ny,7,c\n"))
    assert '{"shop":"x","id":7}' in stopped.value.message
    assert "b.csv" in stopped.value.message
    assert "c.csv" in stopped.value.message
    assert table(orders, "id") == [(1,)]


def test_rows_that_meet_the_condition_delete_their_key(feed: NewFeed) -> None:
    orders = feed(destination={**ORDERED, "delete_when": "op = 'D'"})
    orders.load(orders.csv("a.csv", "id,v,op,name\n1,1,I,a\n2,1,I,b\n3,9,I,c\n"))
    gone = orders.load(orders.csv("b.csv", "id,v,op,name\n1,2,D,\n3,2,D,\n4,1,D,\n2,2,U,B\n5,1,I,e\n"))
    assert merge(gone) == {"read": 5, "inserted": 1, "updated": 1, "deleted": 1, "superseded": 2}
    assert table(orders, "id", "name") == [(2, "B"), (3, "c"), (5, "e")]


def test_rows_without_a_key_are_kept_and_marked(feed: NewFeed) -> None:
    orders = feed(destination=BY_ID)
    orders.load(orders.csv("a.csv", "id,n\n1,1\n2,2\n3,3\n" + "".join(f"{i},{i}\n" for i in range(10, 300))))
    loaded = orders.load(orders.csv("b.csv", "id,n\n,5\nabc,6\n,many\n1,7\n"), evolve=False)
    assert merge(loaded) == {"read": 4, "inserted": 3, "updated": 1}
    assert sorted(loaded.rescued(), key=repr) == sorted(
        [
            {"_empty_merge_key": "id"},
            {"_empty_merge_key": "id", "id": "abc"},
            {"_empty_merge_key": "id", "n": "many"},
        ],
        key=repr,
    )


def test_rows_without_a_key_fail_their_file_where_that_was_chosen(feed: NewFeed) -> None:
    orders = feed(destination={**BY_ID, "null_keys": "fail"})
    orders.load(orders.csv("a.csv", "id,n\n1,1\n"))
    with pytest.raises(FileError) as refused:
        orders.load(orders.csv("good.csv", "id,n\n5,1\n"), orders.csv("bad.csv", "id,n\n,1\n"))
    assert refused.value.path.endswith("bad.csv")
    assert table(orders, "id") == [(1,)]


def test_keys_of_any_name(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["or`der id", "näme.x"], "order_by": "select"})
    orders.load(orders.csv("a.csv", "or`der id,näme.x,select\n1,a,1\n1,b,1\n"))
    orders.load(orders.csv("b.csv", "or`der id,näme.x,select\n1,a,2\n"))
    assert table(orders, "or`der id", "näme.x", "select") == [(1, "a", 2), (1, "b", 1)]


def test_a_key_that_no_file_has_is_refused_before_anything_is_made(feed: NewFeed) -> None:
    orders = feed(destination={**BY_ID, "merge_keys": ["nr"]})
    with pytest.raises(ConfigError) as refused:
        orders.load(orders.csv("a.csv", "id\n1\n"))
    assert refused.value.field == "destination.merge_keys"
    assert orders.loader.state() is None


def test_a_table_that_holds_a_key_twice_is_named(feed: NewFeed) -> None:
    orders = feed(destination=BY_ID)
    orders.load(orders.csv("a.csv", "id,n\n1,1\n"))
    orders.spark.sql(f"INSERT INTO {orders.loader.table} VALUES (1, 2, NULL, NULL, NULL, NULL, NULL)")
    with pytest.raises(DataStop) as stopped:
        orders.load(orders.csv("b.csv", "id,n\n1,3\n"))
    assert stopped.value.code == "keys_not_unique"
    assert table(orders, "id", "n") == [(1, 1), (1, 2)]


def test_of_two_attempts_one_gets_through_and_nothing_is_left_over(feed: NewFeed) -> None:
    orders = feed(destination=ORDERED)
    orders.load(orders.csv("a.csv", "id,v\n1,1\n"))
    entry = orders.csv("b.csv", "id,v\n1,2\n2,2\n")
    one, two = orders.attempt(), orders.attempt()
    first = orders.loader.stage([entry], batch_id="b1", attempt=one)
    second = orders.loader.stage([entry], batch_id="b1", attempt=two)
    orders.loader.publish(one, first)
    with pytest.raises(AutoloaderError):
        orders.loader.publish(two, second)
    third = orders.attempt()
    found = orders.loader.find_batch(third.branch, "b1")
    assert found is not None
    assert found.attempt == one.branch
    adopted = orders.loader.adopted("b1", found)
    assert [count.rows for count in adopted.files.values()] == [2]
    whole = orders.loader.adopted("b1", found, one).detail
    assert whole["merge"] == {"read": 2, "inserted": 1, "updated": 1, "deleted": 0, "superseded": 0}
    assert whole["own_snapshots"] == [str(id_) for id_ in first.own]
    for branch in (one.branch, two.branch, third.branch):
        orders.loader.drop_branch(branch)
    assert not {one.branch, two.branch, third.branch} & set(left_over(orders))
    assert table(orders, "id", "v") == [(1, 2), (2, 2)]


def test_new_columns_and_partitions_go_with_a_merge(feed: NewFeed) -> None:
    orders = feed(destination={**ORDERED, "partitioning": {"enabled": True, "columns": ["days(at)"]}})
    orders.load(orders.csv("a.csv", "id,v,at\n1,1,2024-01-01T10:00:00Z\n2,1,2024-01-02T10:00:00Z\n"))
    orders.load(orders.csv("b.csv", "id,v,at,extra\n1,2,2024-01-03T10:00:00Z,x\n"))
    assert table(orders, "id", "v", "extra") == [(1, 2, "x"), (2, 1, None)]
