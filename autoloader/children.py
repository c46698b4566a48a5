"""Processes that the supervisor keeps alive: their start, their end, their logs, and who is left of an earlier time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from autoloader.lib.errors import AutoloaderError
from autoloader.lib.processes import dying_with_parent, group_members, signal_group, started_at
from clusters.embedded import EmbeddedServer

#: a killed process is waited for no longer.
KILLED_SECONDS = 10.0
LOG_BYTES = 20_000_000
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
#: a child that ran this long is taken to be sound: the next pause is a short one again.
SOUND_SECONDS = 60.0


class Child(Protocol):
    """One kept process. ``stop_seconds`` is how long it may take to end after it was asked to."""

    name: str
    stop_seconds: float

    def start(self) -> None:
        """Starts it and does not wait. Raises :class:`AutoloaderError` or ``OSError`` where it cannot."""

    @property
    def pid(self) -> int | None: ...

    def exit_code(self) -> int | None:
        """``None`` while it runs."""

    def ask_to_stop(self) -> None:
        """Tells the process itself, and not its group, to end."""

    def kill(self) -> None:
        """Ends its whole group at once, those included that it left behind."""


@dataclass
class CommandChild:
    """A command in a process group of its own. ``log`` ``None``: it writes where we write."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    folder: Path
    stop_seconds: float
    log: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(self.log.open("ab")) if self.log else None
            self._process = subprocess.Popen(  # noqa: S603  # our own commands
                dying_with_parent(self.command),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def ask_to_stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process:
            end_group(self._process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that waits for a disk ends when that answers
                self._process.wait(KILLED_SECONDS)


@dataclass
class SparkChild:
    """The embedded server; a restart comes up on the same port."""

    server: EmbeddedServer
    name: str = "spark"
    stop_seconds: float = 20.0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.server.start(wait_seconds=0)
        self._process = self.server.process

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def ask_to_stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        self.server.kill()


@dataclass
class Keeper:
    """Keeps one child running: notes it in the data folder, starts it again with growing pauses when it ends."""

    child: Child
    notes: Path
    say: Callable[[str], None]
    _pause: float = FIRST_PAUSE_SECONDS
    _began: float = 0.0
    _again_at: float | None = None

    def start(self) -> None:
        self._again_at = None
        self._began = time.monotonic()
        self.child.start()
        self._note()

    def look(self) -> None:
        """Called again and again: restarts what ended."""
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self._try_again()
            return
        code = self.child.exit_code()
        if code is None:
            return
        self.child.kill()  # what it left behind would disturb its successor
        if now - self._began >= SOUND_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self.say(f"{self.child.name} ended ({_how(code)}); it starts again in {self._pause:g} s.")
        self._plan(now)

    def end(self) -> None:
        """Nothing of the child is left after this."""
        self.child.kill()
        self.notes.unlink(missing_ok=True)

    def _try_again(self) -> None:
        try:
            self.start()
        except (AutoloaderError, OSError) as error:
            self.say(f"{self.child.name} does not start: {error} The next try is in {self._pause:g} s.")
            self._plan(time.monotonic())

    def _plan(self, now: float) -> None:
        self._again_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def _note(self) -> None:
        pid = self.child.pid
        if pid is not None:
            self.notes.write_text(json.dumps({"pid": pid, "started_at": started_at(pid)}))


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def end_leftovers(folder: Path, say: Callable[[str], None]) -> None:
    """Ends what an earlier supervisor that was killed left running, by the notes it left."""
    for notes in sorted(folder.glob("*.json")):
        with contextlib.suppress(ValueError, KeyError, OSError):
            kept = json.loads(notes.read_text())
            pid = int(kept["pid"])
            if kept["started_at"] is not None and started_at(pid) == kept["started_at"]:
                say(f"Ending {notes.stem}, left running by an earlier start (process {pid}).")
            end_group(pid, only_if_led_since=kept["started_at"])
        notes.unlink(missing_ok=True)


def end_group(group: int, *, only_if_led_since: float | None = None) -> None:
    """SIGKILL to a whole group, and a short wait until its members are gone.

    With ``only_if_led_since`` only where the group's leader is that same process: its number may be another's by now.
    """
    if only_if_led_since is not None and started_at(group) != only_if_led_since:
        return
    if group == os.getpgrp():
        return
    signal_group(group, signal.SIGKILL)
    limit = time.monotonic() + 5
    while group_members(group) and time.monotonic() < limit:
        time.sleep(0.02)


def shorten_logs(folder: Path) -> None:
    """Keeps each log below a size: the older part moves to ``.1``. The writers append, so they go on undisturbed."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def manage(*arguments: str) -> list[str]:
    """The command line of one of our management commands."""
    return [sys.executable, "manage.py", *arguments]
