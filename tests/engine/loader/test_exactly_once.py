"""Races that were seen to double or lose rows: late commits, two attempts, foreign writers, cut histories."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from autoloader.lib.errors import AutoloaderError
from clusters.embedded import EmbeddedServer
from ingestions.engine.ledger import Entry
from ingestions.engine.loader.base import LostRace, UnknownOutcome
from ingestions.engine.loader.snapshots import History
from tests.engine.loader.feed import Feed, new_session

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


@pytest.fixture
def orders(feed: NewFeed) -> Feed:
    made = feed()
    made.load(made.csv("first.csv", "id,name\n1,a\n"))
    return made


def file(orders: Feed, name: str = "b.csv") -> Entry:
    return orders.csv(name, "id,name\n2,b\n3,c\n")


def ids(orders: Feed) -> list[Any]:
    orders.spark.sql(f"REFRESH TABLE {orders.loader.table}")
    return sorted(row["id"] for row in orders.rows())


def refs(orders: Feed) -> set[str]:
    orders.spark.sql(f"REFRESH TABLE {orders.loader.table}")
    return {row["name"] for row in orders.spark.sql(f"SELECT name FROM {orders.loader.table}.refs").collect()}


def test_a_loader_remembers_no_more_snapshots_after_many_batches_than_after_one(orders: Feed) -> None:
    def remembered() -> int:
        gc.collect()
        return sum(isinstance(each, History) for each in gc.get_objects())

    before = remembered()
    for number in range(3):
        loaded = orders.load(file(orders, f"{number}.csv"))
        assert remembered() > before  # the batch in hand
        orders.loader.drop_branch(loaded.attempt.branch)
        assert remembered() <= before


def test_of_two_attempts_at_one_batch_one_gets_through(orders: Feed) -> None:
    entry = file(orders)
    one, two = orders.attempt(), orders.attempt()
    first = orders.loader.stage([entry], batch_id="b1", attempt=one)
    second = orders.loader.stage([entry], batch_id="b1", attempt=two)
    orders.loader.publish(one, first)
    with pytest.raises(LostRace):
        orders.loader.publish(two, second)
    assert ids(orders) == [1, 2, 3]


def test_a_staged_batch_is_not_seen_and_a_dropped_branch_takes_it_along(orders: Feed) -> None:
    attempt = orders.attempt()
    orders.loader.stage([file(orders)], batch_id="b1", attempt=attempt)
    assert ids(orders) == [1]
    orders.loader.drop_branch(attempt.branch)
    orders.loader.drop_branch(attempt.branch)  # swept again and again
    assert ids(orders) == [1]


def test_a_published_batch_is_found_by_the_next_attempt(orders: Feed) -> None:
    loaded = orders.load(file(orders), batch_id="b1")
    attempt = orders.attempt()
    found = orders.loader.find_batch(attempt.branch, "b1")
    assert found is not None
    assert found.snapshot_id == loaded.staged.snapshot_id
    assert orders.loader.find_batch(attempt.branch, "b2") is None
    assert {path.rsplit("/")[-1]: count.rows for path, count in orders.loader.batch_counts("b1").items()} == {
        "b.csv": 2
    }


def test_a_batch_that_nobody_looked_for_is_looked_for_before_it_is_published(orders: Feed) -> None:
    entry = file(orders)
    orders.load(entry, batch_id="b1")
    attempt = orders.attempt()
    staged = orders.loader.stage([entry], batch_id="b1", attempt=attempt)
    with pytest.raises(LostRace, match="earlier attempt"):
        orders.loader.publish(attempt, staged)
    assert ids(orders) == [1, 2, 3]


def test_a_branch_begins_where_main_is_whoever_moved_it(orders: Feed, spark_server: EmbeddedServer) -> None:
    orders.loader.state()
    other = new_session(spark_server.url)
    other.sql(f"INSERT INTO {orders.loader.table} VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)")
    attempt = orders.attempt()
    orders.loader.refresh()
    history, _ = orders.loader.history()
    assert history.refs[attempt.branch] == history.refs["main"] == attempt.base_snapshot_id


def test_a_late_commit_of_a_dead_client_cannot_be_published_by_its_successor(orders: Feed) -> None:
    """The dead attempt's branch is dropped; its commit comes late and makes the branch anew, on the main of then."""
    entry = file(orders)
    dead = orders.attempt()
    late = orders.loader.stage([entry], batch_id="b1", attempt=dead)
    orders.loader.drop_branch(dead.branch)
    orders.load(entry, batch_id="b1")
    orders.spark.sql(f"ALTER TABLE {orders.loader.table} CREATE BRANCH `{dead.branch}`")
    orders.loader.stage([entry], batch_id="b1", attempt=dead)
    with pytest.raises(AutoloaderError):
        orders.loader.publish(dead, late)
    assert ids(orders) == [1, 2, 3]


def test_a_foreign_commit_makes_the_batch_be_staged_again(orders: Feed) -> None:
    entry = file(orders)
    attempt = orders.attempt()
    staged = orders.loader.stage([entry], batch_id="b1", attempt=attempt)
    orders.spark.sql(f"INSERT INTO {orders.loader.table} VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)")
    with pytest.raises(LostRace):
        orders.loader.publish(attempt, staged)
    orders.load(entry, batch_id="b1")
    assert ids(orders) == [1, 2, 3, 99]
    assert orders.loader.rows_by_batch_and_file()[("", "")] == 1


def test_a_branch_with_somebody_elses_rows_is_not_published(orders: Feed) -> None:
    attempt = orders.attempt()
    staged = orders.loader.stage([file(orders)], batch_id="b1", attempt=attempt)
    branch = f"{orders.loader.table}.`branch_{attempt.branch}`"
    orders.spark.sql(f"INSERT INTO {branch} VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)")
    with pytest.raises(AutoloaderError):
        orders.loader.publish(attempt, staged)
    assert ids(orders) == [1]


def test_another_session_sees_what_was_published(orders: Feed, spark_server: EmbeddedServer) -> None:
    other = orders.open(new_session(spark_server.url))
    assert other.state() is not None
    loaded = orders.load(file(orders), batch_id="b1")
    attempt = orders.attempt(other)
    found = other.find_batch(attempt.branch, "b1")
    assert found is not None
    assert found.snapshot_id == loaded.staged.snapshot_id


def test_where_history_was_cut_the_rows_tell(orders: Feed) -> None:
    orders.load(file(orders), batch_id="b1")
    orders.spark.sql(f"INSERT INTO {orders.loader.table} VALUES (99, 'foreign', NULL, NULL, NULL, NULL, NULL)")
    name, now = orders.loader.table.split(".", 1)[1].replace("`", ""), datetime.now(UTC).isoformat()
    orders.spark.sql(
        f"CALL local.system.expire_snapshots(table => '{name}', older_than => TIMESTAMP '{now}', retain_last => 1)"
    ).collect()
    attempt = orders.attempt()
    with contextlib.suppress(UnknownOutcome):  # also safe: nothing is staged on a guess
        assert orders.loader.find_batch(attempt.branch, "b1") is not None
    assert orders.loader.batch_counts("b1") != {}


def test_the_first_batch_of_a_new_table_is_published_once(feed: NewFeed) -> None:
    fresh = feed()
    entry = file(fresh)
    fresh.evolve([entry])
    one, two = fresh.attempt(), fresh.attempt()
    first = fresh.loader.stage([entry], batch_id="b1", attempt=one)
    second = fresh.loader.stage([entry], batch_id="b1", attempt=two)
    fresh.loader.publish(one, first)
    with pytest.raises(AutoloaderError):
        fresh.loader.publish(two, second)
    assert ids(fresh) == [2, 3]


def test_rows_per_file_are_those_of_the_files(orders: Feed) -> None:
    entries = [orders.csv(f"{n}.csv", "id,name\n" + "".join(f"{n}{i},x\n" for i in range(n))) for n in range(1, 6)]
    loaded = orders.load(*entries)
    counts = {path.rsplit("/")[-1]: count.rows for path, count in loaded.audit.files.items()}
    assert counts == {f"{n}.csv": n for n in range(1, 6)}
    assert sum(orders.loader.rows_by_batch_and_file().values()) == 16


def test_changes_of_one_table_by_many_at_once_all_come_through(orders: Feed, spark_server: EmbeddedServer) -> None:
    """Iceberg tries a change of a branch once and then says that the metadata is stale, or its version taken."""
    loaders = [orders.open(new_session(spark_server.url)) for _ in range(4)]
    before = refs(orders)

    def change(number: int) -> list[int | None]:
        bases = []
        for turn in range(3):
            branch = f"al_{number}_{turn}"
            bases.append(loaders[number].open_branch(branch))
            loaders[number].drop_branch(branch)
        return bases

    with ThreadPoolExecutor(4) as pool:
        bases = [base for found in pool.map(change, range(4)) for base in found]
    assert len(bases) == 12
    assert len(set(bases)) == 1
    assert refs(orders) == before
    assert ids(orders) == [1]
