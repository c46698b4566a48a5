"""The queue inside of a worker outlives each of its processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest

from ingestions.task_pipe import HardyQueue, OnDemand, hardy_value

FORK = multiprocessing.get_context("fork")


def _take(queue: HardyQueue, into: Any) -> None:
    into.send("waiting")
    into.send(queue.get())


def _taker(queue: HardyQueue) -> tuple[Any, Any]:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=_take, args=(queue, theirs), daemon=True)
    process.start()
    assert ours.recv() == "waiting"
    return process, ours


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_task_is_taken_after_the_process_that_waited_for_it_was_killed() -> None:
    queue = HardyQueue()
    killed, _ = _taker(queue)
    time.sleep(0.3)  # it holds the lock by now
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    queue.put("task")
    successor, told = _taker(queue)
    try:
        assert told.poll(10)
        assert told.recv() == "task"
    finally:
        successor.kill()
        successor.join()


def _hold(value: Any, into: Any) -> None:
    with value.get_lock():
        value.value = 7.0  # takes it once more, and gives it back once
        into.send("held")
        time.sleep(60)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_value_can_be_had_after_the_process_that_held_its_lock_was_killed() -> None:
    value = hardy_value("f", -1)
    ours, theirs = FORK.Pipe()
    holder = FORK.Process(target=_hold, args=(value, theirs), daemon=True)
    holder.start()
    assert ours.recv() == "held"
    assert value.get_lock().is_held()
    holder.kill()
    holder.join()
    assert not value.get_lock().is_held()
    with value.get_lock():
        assert value.value == 7.0


class Broker:
    """Has a task at each look, and counts them."""

    list_key = "test"
    looks = 0

    def dequeue(self) -> list[str]:
        self.looks += 1
        return ["task"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_task_is_taken_off_the_queue_only_for_a_process_that_waits() -> None:
    queue, broker = HardyQueue(), Broker()
    on_demand = OnDemand(broker, queue)
    assert (on_demand.dequeue(), broker.looks) == (None, 0)
    waiting, told = _taker(queue)
    try:
        limit = time.monotonic() + 10
        while (found := on_demand.dequeue()) is None and time.monotonic() < limit:
            pass
        assert (found, broker.looks) == (["task"], 1)
        assert (on_demand.dequeue(), broker.looks) == (None, 1)  # though it is not in the queue yet
        queue.put("task")
        assert told.poll(10)
        assert (on_demand.dequeue(), broker.looks) == (None, 1)
    finally:
        waiting.kill()
        waiting.join()


def test_a_closed_queue_has_nothing_in_it() -> None:
    """A worker that stops asks for the size once more; if that fails, the batches in hand are not handed over."""
    queue = HardyQueue()
    queue.close()
    assert queue.qsize() == 0
