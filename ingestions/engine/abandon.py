"""Slow work of a store, given up soon after somebody asked for it: a request that hangs cannot be ended from outside,
but nobody has to wait for it.

The work goes on in a daemon thread until its request ends; what it brings then is thrown away. So it may only look.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from time import monotonic
from typing import Generic, TypeVar

from autoloader.lib.errors import RunStopped

T = TypeVar("T")
#: how often it is asked whether to stop.
LOOK_SECONDS = 0.5
#: a page that does not fill is handed on after this.
LINGER_SECONDS = 1.0


def unless_stopped(work: Callable[[], T], should_stop: Callable[[], bool]) -> T:
    """The value of ``work()`` or its error; :class:`RunStopped` soon after ``should_stop`` says so."""
    (result,) = next(pages((work() for _ in range(1)), 1, should_stop))
    return result


def pages(items: Iterator[T], size: int, should_stop: Callable[[], bool]) -> Iterator[list[T]]:
    """The items, up to ``size`` at a time and never kept back for much longer than a second. Their error is raised
    here; :class:`RunStopped` soon after ``should_stop`` says so, which is asked before each page and while waiting.
    """
    feed = _Feed(items, size)
    thread = threading.Thread(target=copy_context().run, args=(feed.fill,), name="listing", daemon=True)
    thread.start()
    try:
        while True:
            page = feed.next()
            if page is not None and not page:
                return
            if should_stop():
                raise RunStopped("reading from the source")
            if page is not None:
                yield page
    finally:
        feed.gone.set()


class _Feed(Generic[T]):
    """Two pages are kept ready; an empty one is the end."""

    def __init__(self, items: Iterator[T], size: int) -> None:
        self._items = items
        self._size = size
        self._box: queue.Queue[list[T] | BaseException] = queue.Queue(maxsize=2)
        self.gone = threading.Event()

    def next(self) -> list[T] | None:
        """The next page; ``None`` where none came within half a second. Raises what listing raised."""
        try:
            found = self._box.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def fill(self) -> None:
        try:
            for page in self._pages():
                if not self._put(page):
                    return
            self._put([])
        except BaseException as error:  # the one who waits is the one to judge it
            self._put(error)

    def _pages(self) -> Iterator[list[T]]:
        page: list[T] = []
        since = monotonic()
        for item in self._items:
            page.append(item)
            if len(page) >= self._size or monotonic() - since >= LINGER_SECONDS:
                yield page
                page, since = [], monotonic()
        if page:
            yield page

    def _put(self, found: list[T] | BaseException) -> bool:
        """``False`` where nobody waits any more."""
        while not self.gone.is_set():
            try:
                self._box.put(found, timeout=LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
