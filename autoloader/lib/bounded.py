"""Slow calls from a web request: only a few at a time, and none longer than a person waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from autoloader.lib.errors import DeadlineError, TransientError

T = TypeVar("T")


class Busy(TransientError):
    """Every slot is taken; ``retry_after_seconds`` is when it is worth another try."""

    def __init__(self, what: str, retry_after_seconds: int) -> None:
        super().__init__(
            "busy",
            f"Too many requests wait for {what} already.",
            f"Try again in {retry_after_seconds} seconds.",
        )
        self.retry_after_seconds = retry_after_seconds


class _Call(Generic[T]):
    """One piece of work in a thread of its own, and what came of it."""

    def __init__(self, work: Callable[[], T], done: Callable[[], None]) -> None:
        self._work = work
        self._done = done
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.finished = threading.Event()

    def run(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:  # handed to the caller, who is the one to judge it
            self._error = error
        finally:
            self._done()
            self.finished.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]


class Bounded:
    """At most ``slots`` calls at once in this process, each waited for at most ``deadline_seconds``.

    A call that is given up keeps its slot until it really ends: a thread cannot be stopped, and counting it as gone
    would let a cluster that hangs fill the process. The threads are daemons, so they never hold up a stop, and are
    started per call, so nothing has to survive a fork.
    """

    def __init__(
        self, *, what: str, slots: int = 2, deadline_seconds: float = 30, retry_after_seconds: int = 5
    ) -> None:
        self.what = what
        self.deadline_seconds = deadline_seconds
        self.retry_after_seconds = retry_after_seconds
        self._free = threading.BoundedSemaphore(slots)

    def call(self, work: Callable[[], T]) -> T:
        """The value of ``work()``, or its error. Raises :class:`Busy` (503) without waiting where no slot is free and
        :class:`DeadlineError` (504) when the time is up.
        """
        if not self._free.acquire(blocking=False):
            raise Busy(self.what, self.retry_after_seconds)
        call = _Call(work, self._free.release)
        thread = threading.Thread(target=copy_context().run, args=(call.run,), name=f"bounded {self.what}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._free.release()
            raise Busy(self.what, self.retry_after_seconds) from None
        if not call.finished.wait(self.deadline_seconds):
            raise DeadlineError(
                "deadline_exceeded",
                f"There was no answer from {self.what} within {self.deadline_seconds:g} seconds.",
                "Look whether it is up and reachable from here, then try again.",
            )
        return call.result()
