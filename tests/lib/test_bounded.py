from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from autoloader.lib.bounded import Bounded, Busy
from autoloader.lib.errors import ConfigError, DeadlineError

word: ContextVar[str] = ContextVar("word", default="none")


def test_the_value_of_the_work_comes_back() -> None:
    assert Bounded(what="a cluster").call(lambda: 42) == 42


def test_an_error_of_the_work_comes_back_as_it_is() -> None:
    def fail() -> None:
        raise ConfigError("wrong", "It is wrong.")

    with pytest.raises(ConfigError, match=r"It is wrong\."):
        Bounded(what="a cluster").call(fail)


def test_the_work_sees_the_context_of_its_caller() -> None:
    word.set("run-1")
    assert Bounded(what="a cluster").call(word.get) == "run-1"


def test_work_that_takes_too_long_is_given_up_with_a_504() -> None:
    go = threading.Event()
    bounded = Bounded(what="a cluster", slots=1, deadline_seconds=0.05)
    with pytest.raises(DeadlineError) as caught:
        bounded.call(go.wait)
    assert caught.value.status == 504
    go.set()


def test_work_that_was_given_up_keeps_its_slot_until_it_ends() -> None:
    go = threading.Event()
    bounded = Bounded(what="a cluster", slots=1, deadline_seconds=0.05)
    with pytest.raises(DeadlineError):
        bounded.call(go.wait)
    with pytest.raises(Busy) as caught:
        bounded.call(lambda: 1)
    assert (caught.value.status, caught.value.retry_after_seconds) == (503, 5)
    hanging = [thread for thread in threading.enumerate() if thread.name == "bounded a cluster"]
    go.set()
    for thread in hanging:
        thread.join(10)
    assert bounded.call(lambda: 1) == 1


def test_a_slot_is_free_again_after_an_error() -> None:
    bounded = Bounded(what="a cluster", slots=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            bounded.call(lambda: 1 / 0)
    assert bounded.call(lambda: 1) == 1
