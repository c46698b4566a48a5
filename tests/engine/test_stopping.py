"""Work that is given up because a run was asked to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from autoloader.lib.errors import RunStopped
from ingestions.engine.abandon import pages, unless_stopped
from ingestions.engine.ledger import State
from ingestions.engine.run import Outcome, run_slice
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.memory_table import Crash, MemorySource, Table, context_of


def never() -> bool:
    return False


def test_pages_hold_all_items_in_order() -> None:
    assert list(pages(iter(range(10)), 4, never)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(pages(iter(()), 4, never)) == []


def test_an_error_of_the_source_arrives_after_the_pages_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(3)
        raise OSError("gone")

    found = pages(broken(), 2, never)
    assert next(found) == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_a_slow_source_is_not_kept_back_until_a_page_is_full() -> None:
    def slow() -> Iterator[int]:
        for number in range(4):
            time.sleep(0.6)
            yield number

    assert len(list(pages(slow(), 1000, never))) > 1


def test_a_source_that_hangs_is_given_up_when_asked_and_hears_of_it() -> None:
    hang, asked = threading.Event(), threading.Event()

    def hanging() -> Iterator[int]:
        yield 1
        hang.wait(30)
        yield 2

    threading.Timer(0.3, asked.set).start()
    begun = time.monotonic()
    with pytest.raises(RunStopped):
        list(pages(hanging(), 1000, asked.is_set))
    assert time.monotonic() - begun < 3
    hang.set()
    deadline = time.monotonic() + 5
    while any(thread.name == "listing" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "its thread goes on though nobody waits"
        time.sleep(0.05)


def test_work_that_hangs_is_given_up_when_asked() -> None:
    hang = threading.Event()
    with pytest.raises(RunStopped):
        unless_stopped(lambda: hang.wait(30), lambda: True)
    hang.set()
    assert unless_stopped(lambda: 4711, never) == 4711


class Feed:
    """A source, a table and a ledger, worked on by one worker after the other."""

    def __init__(self) -> None:
        self.source, self.table, self.ledger = MemorySource(), Table(), Ledger()
        for name in "abc":
            self.source.put(f"memory://feed/{name}.csv", b"a,b\n1,2\n")

    def work(self, at: str = "", error: Callable[[], BaseException] = RunStopped) -> Outcome:
        def trip(step: str) -> None:
            if step == at:
                self.ledger.cancel = error is RunStopped
                raise error()

        context = context_of(self.table, self.source, MemoryStore(self.ledger, trip), trip)
        self.ledger.cancel = False
        return run_slice(context, budget_seconds=3600)

    def states(self) -> list[State]:
        return [row.state for row in self.ledger.rows.values()]


@pytest.mark.parametrize("step", ["infer", "before branch", "after branch", "during stage", "after stage", "audit"])
def test_an_interrupted_batch_is_given_back_without_a_trace(step: str) -> None:
    feed = Feed()
    assert feed.work(step) is Outcome.CANCELLED
    assert feed.states() == [State.DISCOVERED] * 3
    assert set(feed.table.refs) == {"main"}
    assert feed.work() is Outcome.DONE
    assert sorted(feed.table.rows().values()) == [1, 1, 1]


@pytest.mark.parametrize("step", ["before branch", "find"])
def test_a_batch_that_may_be_published_is_not_given_back_when_its_look_is_interrupted(step: str) -> None:
    """Its first worker died when it had published and had not heard of it: to give the files back doubles them."""
    feed = Feed()
    with pytest.raises(Crash):
        feed.work("after publish", lambda: Crash("after publish"))
    assert feed.work(step) is Outcome.CANCELLED
    assert feed.states().count(State.CLAIMED) == 2
    assert feed.work() is Outcome.DONE
    assert sorted(feed.table.rows().values()) == [1, 1, 1]
    assert feed.states() == [State.LOADED] * 3
