"""The queue between the processes of one worker: its locks end with the process that holds them, and it takes a task
only when somebody waits for one.

A process that waits for a task holds the lock for reading all the time. Those of ``multiprocessing`` are semaphores:
after a ``kill -9`` of such a process nobody ever takes a task again, though its successor is there and beats.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import multiprocessing.queues
import os
import tempfile
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from django_q.brokers import get_broker
from django_q.pusher import pusher

LOOK_SECONDS = 0.02


if TYPE_CHECKING:
    _Queue = multiprocessing.queues.Queue[Any]
else:
    _Queue = multiprocessing.queues.Queue


class MortalLock:
    """A lock between processes that were forked from the one that made it; the kernel frees it when its holder ends.
    Within one process only one thread may use it, which may take it again while it has it."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._depth = 0  # in this process

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Waits as long as it takes: nobody asks for less."""
        if not self._depth:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def is_held(self) -> bool:
        """By another process."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        return False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def hardy_value(kind: str, initial: float) -> Any:
    """A ``multiprocessing.Value`` with such a lock. In django-q2's the time that a worker has left is kept, and whoever
    watches over the workers waits for its lock."""
    lock: Any = MortalLock()
    return multiprocessing.Value(kind, initial, lock=lock)


class HardyQueue(_Queue):
    """For django-q2's. Without a limit, and without a counter of what is in it: both are kept by semaphores, too."""

    _reader: Any
    _rlock: Any
    _wlock: Any

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(0, ctx=multiprocessing.get_context())
        self._rlock, self._wlock = MortalLock(), MortalLock()

    def qsize(self) -> int:
        """1 where there is anything in it; nothing in one that is closed: a sentinel still asks while it stops."""
        return 0 if self._reader.closed else int(not self.empty())

    def is_waited_for(self) -> bool:
        """Whether a process waits for a task, and none is on its way to it."""
        return self.empty() and self._rlock.is_held()


class OnDemand:
    """A broker that gives a task only to a worker that can begin with it: what is taken off the queue and lies behind a
    long step is lost to workers that have nothing to do, and with its worker."""

    def __init__(self, broker: Any, queue: HardyQueue) -> None:
        self._broker = broker
        self._queue = queue
        self._just_gave = False

    def dequeue(self) -> Any:
        if self._just_gave or not self._queue.is_waited_for():
            time.sleep(LOOK_SECONDS)  # what was given just now is on its way, and not seen in the queue yet
            self._just_gave = False
            return None
        found = self._broker.dequeue()
        self._just_gave = bool(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def push(queue: HardyQueue, event: Any, broker: Any = None) -> None:
    """django-q2's process that takes tasks off the queue, on demand."""
    pusher(queue, event, OnDemand(broker or get_broker(), queue))
