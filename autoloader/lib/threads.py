"""A few threads that nobody has to wait for when the process ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import monotonic


class DaemonThreads:
    """At most ``count`` pieces of work at a time, each on a thread of its own; a thread lives on, and so does what it
    keeps (a connection to the database) until ``at_end`` lets go of it. Work has to catch its own errors."""

    def __init__(self, count: int, name: str, at_end: Callable[[], object] = lambda: None) -> None:
        self._count, self._name, self._at_end = count, name, at_end
        self._threads: list[threading.Thread] = []
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._busy = 0

    @property
    def free(self) -> int:
        return self._count - self._busy

    def submit(self, work: Callable[[], None]) -> bool:
        """``False`` where all are busy."""
        with self._lock:
            if self._busy >= self._count:
                return False
            self._busy += 1
            if self._busy > len(self._threads):
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()
        self._queue.put(work)
        return True

    def wait(self, seconds: float) -> bool:
        """Until nothing is under way; ``False`` where that takes longer."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, seconds)

    def close(self, seconds: float = 0) -> None:
        """What is under way goes on, and is waited for so long."""
        for _ in self._threads:
            self._queue.put(None)
        until = monotonic() + seconds
        for each in self._threads:
            each.join(max(0.0, until - monotonic()))

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            finally:
                with self._idle:
                    self._busy -= 1
                    self._idle.notify_all()
        self._at_end()
