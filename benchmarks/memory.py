"""Resident memory of an installation's processes, by what they do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Self

import psutil

from benchmarks.site import Site

MB = 1024**2
START_SECONDS = 30.0
#: how long a process is left alone before it counts as idle.
QUIET_SECONDS = 5.0


def processes(site: Site, *, workers: int = 1) -> dict[str, psutil.Process]:
    """By role: ``web``, ``web 1`` …, ``scheduler``, ``queue`` (the command), ``sentinel``, ``worker 1`` …, ``monitor``,
    ``pusher``. Waits until so many workers beat; RuntimeError where they do not.
    """
    limit = time.monotonic() + START_SECONDS
    while True:
        found = _found(site)
        if sum(role.startswith("worker ") for role in found) >= workers and "pusher" in found:
            return found
        if time.monotonic() > limit:
            raise RuntimeError(f"not all of {workers} workers beat; there are {', '.join(found)}")
        time.sleep(0.2)


def _found(site: Site) -> dict[str, psutil.Process]:
    found = {}
    for name, role in (("web", "web"), ("scheduler", "scheduler"), ("worker", "queue")):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[role] = psutil.Process(site.processes[name].pid)
    for at, child in enumerate(_children(found.get("web")), 1):
        found[f"web {at}"] = child
    for sentinel in _children(found.get("queue"))[:1]:
        found["sentinel"] = sentinel
        found |= _of_the_queue(sentinel, _beating(site))
    return found


def _beating(site: Site) -> set[int]:
    rows = site.query("SELECT process FROM ingestions_heartbeat WHERE kind = 'worker'")
    return {int(str(name).rpartition(":")[2]) for (name,) in rows}


def _of_the_queue(sentinel: psutil.Process, beating: set[int]) -> dict[str, psutil.Process]:
    """Workers beat; of the others django-q2 starts the one that keeps results first."""
    children = _children(sentinel)
    workers = [child for child in children if child.pid in beating]
    others = [child for child in children if child.pid not in beating]
    found = {f"worker {at}": worker for at, worker in enumerate(workers, 1)}
    return found | dict(zip(("monitor", "pusher"), others, strict=False))


def _children(process: psutil.Process | None) -> list[psutil.Process]:
    """Oldest first."""
    try:
        return sorted(process.children(), key=lambda child: child.create_time()) if process else []
    except psutil.NoSuchProcess:
        return []


def resident(process: psutil.Process) -> float | None:
    """MB of its memory that are in the machine's; ``None`` where it has ended."""
    try:
        return float(process.memory_info().rss) / MB
    except psutil.NoSuchProcess:
        return None


def idle(process: psutil.Process) -> float:
    """MB of a process that has nothing to do, after a while."""
    time.sleep(QUIET_SECONDS)
    found = resident(process)
    if found is None:
        raise RuntimeError(f"process {process.pid} has ended")
    return found


class Peaks(threading.Thread):
    """Looks at a process every ``seconds`` until it is left as a context; ``step`` names what is done meanwhile.

    ``peaks``: step → MB, in order of appearance.
    """

    def __init__(self, process: psutil.Process, step: Callable[[], str], seconds: float) -> None:
        super().__init__(name="peaks", daemon=True)
        self._process = process
        self._step = step
        self._seconds = seconds
        self._done = threading.Event()
        self.peaks: dict[str, float] = {}

    def run(self) -> None:
        while not self._done.wait(self._seconds):
            if (found := resident(self._process)) is not None:
                step = self._step()
                self.peaks[step] = max(self.peaks.get(step, 0.0), found)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()
