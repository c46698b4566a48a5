"""A cluster is woken by files that can be loaded only, and asked for the types of a new table's columns while the first
bytes of most files are still read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest

from ingestions.engine.config import Limits
from ingestions.engine.context import Context
from ingestions.engine.first_bytes import WORTH_ASKING_AHEAD
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.run import Outcome, run_slice
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.memory_table import MemorySource, Table, context_of

SAMPLE = 32
MANY = SAMPLE + WORTH_ASKING_AHEAD


class Feed:
    """``steps``: of the loader, and ``read ‹name›`` for first bytes. ``opened``: how often a session was leased."""

    def __init__(self, count: int, content: bytes = b"a,b\n1,2\n") -> None:
        self.source, self.table, self.ledger = _Source(self), Table(), Ledger()
        self.steps: list[str] = []
        self.opened = 0
        for number in range(count):
            self.source.put(f"memory://feed/{number:04}.csv", content)

    def work(self, at: Callable[[str], None] = lambda step: None) -> Outcome:
        def trip(step: str) -> None:
            self.steps.append(step)
            at(step)

        self.steps.clear()
        self.ledger.discovered = False
        context = context_of(self.table, self.source, MemoryStore(self.ledger, trip), trip)
        config = context.config.model_copy(update={"limits": Limits()})
        context = replace(context, config=config, open_loader=self._counting(context))
        return run_slice(context, budget_seconds=3600)

    def _counting(self, context: Context) -> Callable[[], AbstractContextManager[TableLoader]]:
        @contextmanager
        def opened() -> Iterator[TableLoader]:
            self.opened += 1
            with context.open_loader() as loader:
                yield loader

        return opened


class _Source(MemorySource):
    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed

    def read_range(self, address: str, start: int, length: int) -> bytes:
        self._feed.steps.append(f"read {address}")
        return super().read_range(address, start, length)


def _reads_before(steps: list[str], step: str) -> int:
    return sum(each.startswith("read ") for each in steps[: steps.index(step)])


def test_types_are_asked_for_when_the_first_files_are_known() -> None:
    feed = Feed(MANY)
    assert feed.work() is Outcome.DONE
    assert SAMPLE <= _reads_before(feed.steps, "foresee") < MANY <= _reads_before(feed.steps, "infer")
    assert (feed.opened, len(feed.table.rows())) == (1, MANY)


@pytest.mark.parametrize("count", [1, MANY - 1])
def test_nothing_is_asked_ahead_for_few_files(count: int) -> None:
    feed = Feed(count)
    assert feed.work() is Outcome.DONE
    assert "foresee" not in feed.steps
    assert len(feed.table.rows()) == count


def test_nothing_is_asked_ahead_for_a_table_that_is_known() -> None:
    feed = Feed(1)
    feed.work()
    for number in range(MANY):
        feed.source.put(f"memory://feed/more-{number:04}.csv", b"a,b\n1,2\n")
    assert feed.work() is Outcome.DONE
    assert "foresee" not in feed.steps
    assert len(feed.table.rows()) == MANY + 1


def test_a_question_that_fails_ahead_fails_nothing() -> None:
    feed = Feed(MANY)

    def fail(step: str) -> None:
        if step == "foresee":
            raise RuntimeError("the cluster has no room")

    assert feed.work(fail) is Outcome.DONE
    assert len(feed.table.rows()) == MANY


def test_no_cluster_is_woken_by_files_without_rows() -> None:
    feed = Feed(MANY, b"a,b\n")
    assert feed.work() is Outcome.DONE
    assert feed.opened == 0
    assert {str(row.state) for row in feed.ledger.rows.values()} == {"SKIPPED"}
