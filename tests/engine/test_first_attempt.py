"""The first attempt at a batch that was begun just now does not look for it in the table; every other one does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoloader.lib.errors import LeaseLost
from ingestions.engine.ledger import State
from ingestions.engine.run import Outcome, run_slice
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.memory_table import Crash, MemorySource, Table, context_of


class Feed:
    """One file; a worker calls ``at`` with each of its steps, and its store's too."""

    def __init__(self) -> None:
        self.source, self.table, self.ledger = MemorySource(), Table(), Ledger()
        self.source.put("memory://feed/a.csv", b"a,b\n1,2\n")

    def work(self, at: Callable[[str], None] = lambda step: None) -> Outcome:
        context = context_of(self.table, self.source, MemoryStore(self.ledger, at), at)
        return run_slice(context, budget_seconds=3600)

    def loaded_once(self) -> bool:
        states = [row.state for row in self.ledger.rows.values()]
        return states == [State.LOADED] and self.table.rows() == {"memory://feed/a.csv": 1}


def test_a_batch_begun_just_now_is_not_looked_for() -> None:
    feed, steps = Feed(), list[str]()
    assert feed.work(steps.append) is Outcome.DONE
    assert "after branch" in steps
    assert "find" not in steps
    assert feed.loaded_once()


@pytest.mark.parametrize("step", ["before branch", "after branch", "after stage", "after publish"])
def test_one_that_another_worker_left_is(step: str) -> None:
    feed, steps = Feed(), list[str]()

    def die(at: str) -> None:
        if at == step:
            raise Crash(at)

    with pytest.raises(Crash):
        feed.work(die)
    assert feed.work(steps.append) is Outcome.DONE
    assert "find" in steps
    assert feed.loaded_once()


def _sleep_at(step: str, feed: Feed) -> set[str]:
    """A worker that falls asleep at a step, once, while another one does the whole run; the table's refs by then."""
    refs: set[str] = set()

    def sleep(at: str) -> None:
        if at == step and not refs:
            assert feed.work() is Outcome.DONE
            refs.update(feed.table.refs)

    with pytest.raises(LeaseLost):
        feed.work(sleep)
    return refs


@pytest.mark.parametrize("step", ["before branch", "after branch", "after stage", "audit"])
def test_a_worker_that_sleeps_through_anothers_publish_stages_nothing_twice(step: str) -> None:
    """It wakes up with a branch on a main that has its batch, and has not looked: the ledger stops it."""
    feed = Feed()
    assert _sleep_at(step, feed)
    assert feed.loaded_once()


@pytest.mark.parametrize("step", ["before branch", "after branch", "before stage", "during stage", "after stage"])
def test_a_worker_that_sleeps_through_anothers_publish_leaves_no_branch(step: str) -> None:
    """Its successor has dropped the branch, and looks no more: what is made after that, nobody else will drop."""
    feed = Feed()
    assert _sleep_at(step, feed) == {"main"}
    assert set(feed.table.refs) == {"main"}
