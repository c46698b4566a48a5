"""Faults that tests bring about, as they come in the field."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from ingestions.engine.loader import open_loader

_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path | str) -> Iterator[None]:
    """A SQLite database, by another process."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield
        finally:
            holder.kill()


@contextmanager
def database(**options: Any) -> Iterator[None]:
    """This process's next connections have these options, or (``NAME``) another file."""
    before = dict(connection.settings_dict), dict(connection.settings_dict["OPTIONS"])
    connection.close()
    connection.settings_dict["NAME"] = options.pop("NAME", before[0]["NAME"])
    connection.settings_dict["OPTIONS"] = {**before[1], **options}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"], connection.settings_dict["OPTIONS"] = before[0]["NAME"], before[1]


Hook = Callable[[Any], object]


class _Interposed:
    """A loader; before and after its steps something happens."""

    def __init__(self, loader: Any, steps: dict[str, Hook]) -> None:
        self._loader = loader
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._loader, name)
        if not callable(found):
            return found

        def step(*args: Any, **kwargs: Any) -> Any:
            self._meet(f"before {name}")
            value = found(*args, **kwargs)
            self._meet(f"after {name}")
            return value

        return step

    def _meet(self, at: str) -> None:
        if at in self._steps:
            self._steps[at](self._loader)


def at_steps(patch: pytest.MonkeyPatch, **steps: Hook) -> None:
    """From now on, runs of this process meet these at steps of their loader (``after_publish=…``, which is given the
    loader). What a step raises is what the client would have raised."""
    hooks = {name.replace("_", " ", 1): hook for name, hook in steps.items()}
    patch.setattr(
        "ingestions.services.execution.open_loader",
        lambda *args, **kwargs: _Interposed(open_loader(*args, **kwargs), hooks),
    )


def once(what: Hook, at: int = 1) -> Hook:
    """The ``at``-th time only."""
    seen = 0

    def hook(loader: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            what(loader)

    return hook


def raises(error: BaseException) -> Hook:
    def hook(loader: Any) -> None:
        raise error

    return hook


class Died(BaseException):
    """The worker was killed here: nothing of it runs any more, and its lease runs out."""
