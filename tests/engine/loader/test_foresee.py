"""Types that are asked for ahead are those that would be asked for later, and only for a table that is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestions.engine.ledger import Entry
from ingestions.engine.loader.infer import Inference
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The samples that the cluster is asked about."""
    found: list[Any] = []
    columns = Inference.columns

    def counted(self: Inference, groups: Any) -> Any:
        found.append(groups)
        return columns(self, groups)

    monkeypatch.setattr(Inference, "columns", counted)
    return found


def _files(feed: Feed, first: int, count: int) -> list[Entry]:
    return [feed.json(f"{number}.json", {"n": number, "day": "2026-01-02"}) for number in range(first, first + count)]


def test_a_sample_that_was_asked_about_ahead_is_not_asked_about_again(feed: NewFeed, asked: list[Any]) -> None:
    orders = feed("json", format={"schema": {"sample_files": 3}})
    files = _files(orders, 0, 5)
    orders.loader.foresee(files[:3])
    columns = {each.name: each.type for each in orders.loader.infer(files)}
    assert (columns, len(asked)) == ({"n": "bigint", "day": "date"}, 1)


def test_another_sample_is_asked_about(feed: NewFeed, asked: list[Any]) -> None:
    orders = feed("json", format={"schema": {"sample_files": 3}})
    orders.loader.foresee(_files(orders, 0, 3))
    wide = [orders.json("wide.json", {"n": 1.5}), *_files(orders, 0, 2)]
    columns = {each.name: each.type for each in orders.loader.infer(wide)}
    assert (columns["n"], len(asked)) == ("double", 2)


def test_a_table_that_is_there_is_not_asked_about(feed: NewFeed, asked: list[Any]) -> None:
    orders = feed("json")
    orders.load(*_files(orders, 0, 1))
    asked.clear()
    orders.loader.foresee(_files(orders, 1, 2))
    assert asked == []
