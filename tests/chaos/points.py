"""Named points of a run at which a process can be made to die, to stand still, or to wait for something to happen.

The driver writes the armed fault into a file; the first process that comes to its point takes it, by renaming the file,
so that each fault happens once. Nothing of the product knows of this: its functions are wrapped in the processes that
``tests.chaos.worker`` starts.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "CHAOS_FOLDER"
#: a process that waits for the driver goes on by itself after this.
LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """A function of the product, and how to tell from its arguments which ingestion it works for."""

    module: str
    name: str
    ingestion: Callable[[tuple[Any, ...]], str]


def _of_store(args: tuple[Any, ...]) -> str:
    return str(args[0].ingestion_id)


def _of_loader(args: tuple[Any, ...]) -> str:
    return str(args[0].maker)


def _of_helper(args: tuple[Any, ...]) -> str:
    return str(args[0].loader.maker)


def _store(name: str) -> Place:
    return Place("ingestions.services.store", f"OrmStore.{name}", _of_store)


def _loader(name: str) -> Place:
    return Place("ingestions.engine.loader.loader", f"SparkTableLoader.{name}", _of_loader)


PLACES: dict[str, Place] = {
    "discovery": _store("record"),
    "discovered": _store("finish_discovery"),
    "batch": _store("begin_batch"),
    "attempt": _store("begin_attempt"),
    "branch": _loader("open_branch"),
    "based": _store("attempt_based"),
    "alter": _loader("alter"),
    "schema": _store("schema_changed"),
    "stage": _loader("stage"),
    "staging table": Place("ingestions.engine.loader.staging", "StagingTable.fill", _of_helper),
    "audit": _loader("audit"),
    "separate": _store("separate"),
    "quarantine": _loader("quarantine"),
    "fence": _store("fence"),
    "publish": _loader("publish"),
    "loaded": _store("batch_loaded"),
    "attempt ended": _store("end_attempt"),
    "sweep": _loader("drop_branch"),
    "swept": _store("branch_swept"),
    "settle": Place("ingestions.services.execution", "_settle", _of_store),
    "finish": Place("ingestions.services.execution", "_finish", _of_store),
}
BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True)
class Armed:
    """What the first process does that comes to ``place`` for the ``nth`` time, working for this ingestion.

    ``action``: ``kill`` (itself), ``stop`` (SIGSTOP to itself), ``parent`` (kills the process above it), ``group``
    (kills all processes of its worker), ``wait`` (until the driver has done its part). ``delay``: seconds after the
    function began, for ``during``.
    """

    number: int
    ingestion: str
    place: str
    when: str
    action: str
    delay: float = 0.0
    nth: int = 1

    @staticmethod
    def forget(folder: Path) -> None:
        """What an earlier fault has left."""
        for name in ("armed", "hit", "go"):
            (folder / name).unlink(missing_ok=True)

    def arm(self, folder: Path) -> None:
        _write(folder / "armed", asdict(self))


@dataclass(frozen=True)
class Hit:
    """That it happened: in which process, and when (seconds since the epoch)."""

    number: int
    pid: int
    at: float

    @classmethod
    def read(cls, folder: Path) -> Hit | None:
        try:
            return cls(**json.loads((folder / "hit").read_text()))
        except FileNotFoundError:
            return None


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    part.write_text(json.dumps(content))
    part.replace(path)


class Points:
    """In a process of the product: wraps the functions, and looks at each of their calls whether a fault is armed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls: dict[int, int] = {}

    def install(self) -> None:
        for name, place in PLACES.items():
            owner: Any = importlib.import_module(place.module)
            *parents, last = place.name.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            setattr(owner, last, self._around(name, place, getattr(owner, last)))

    def _around(self, name: str, place: Place, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            armed = self._armed(name, place.ingestion(args))
            if armed is None:
                return function(*args, **kwargs)
            if armed.when == BEFORE:
                self._act(armed)
            if armed.when == DURING:
                timer = threading.Timer(armed.delay, self._act, (armed,))
                timer.daemon = True
                timer.start()
            result = function(*args, **kwargs)
            if armed.when == AFTER:
                self._act(armed)
            return result

        return wrapped

    def _armed(self, name: str, ingestion: str) -> Armed | None:
        """The fault that is meant for this very call."""
        try:
            armed = Armed(**json.loads((self.folder / "armed").read_text()))
        except FileNotFoundError:
            return None
        if (armed.place, armed.ingestion) != (name, ingestion):
            return None
        self._calls[armed.number] = self._calls.get(armed.number, 0) + 1
        return armed if self._calls[armed.number] == armed.nth else None

    def _act(self, armed: Armed) -> None:
        try:
            (self.folder / "armed").rename(self.folder / f"taken {armed.number}")
        except FileNotFoundError:  # another process was there first, or the round is over
            return
        _write(self.folder / "hit", asdict(Hit(armed.number, os.getpid(), time.time())))
        match armed.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "parent":
                os.kill(os.getppid(), signal.SIGKILL)
            case "group":
                os.killpg(os.getpgrp(), signal.SIGKILL)
            case "wait" if armed.when != DURING:
                self._wait()

    def _wait(self) -> None:
        limit = time.monotonic() + LONGEST_WAIT_SECONDS
        while not (self.folder / "go").exists() and time.monotonic() < limit:
            time.sleep(0.01)
