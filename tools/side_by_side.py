"""Runs commands at the same time, each line of theirs under its command's name, and each of them to its end.

``python -m tools.side_by_side "engine: pytest tests/engine" "rest: pytest tests/web"``. It ends with 0 where all did,
else with 1, or with 130 after Ctrl-C, which all of them are told. What ``make -j --output-sync`` would do, which
macOS's make has not.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from autoloader.lib.processes import dying_with_parent, signal_group

#: what is shown once more of a command that failed, when all have ended.
LAST_LINES = 40
#: how long to read on when a command has ended and something that it started still has its output open.
READ_ON_SECONDS = 5.0
USAGE = 'usage: python -m tools.side_by_side "NAME: COMMAND" "NAME: COMMAND" …'


@dataclass(frozen=True)
class Command:
    """What to run, without a shell, under a name."""

    name: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Command:
        """From ``name: command``, quoted as for a shell. :class:`ValueError` says what is wrong with it."""
        name, found, command = text.partition(":")
        words = tuple(shlex.split(command))
        if not found or not name.strip() or not words:
            raise ValueError(f"{text!r} is not “name: command”.")
        if shutil.which(words[0]) is None:
            raise ValueError(f"{name.strip()}: there is no program {words[0]}.")
        return cls(name.strip(), words)


class Output:
    """Writes whole lines, one at a time, each under the name of whose it is."""

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        self._stream, self._width, self._lock = stream, max(map(len, names)), threading.Lock()

    def line(self, name: str, text: str) -> None:
        with self._lock:
            self._stream.write(f"{name:{self._width}} | {text}\n".replace(" \n", "\n"))
            self._stream.flush()


class Running:
    """One command, from its start to its end."""

    def __init__(self, command: Command, output: Output) -> None:
        self.name, self._output = command.name, output
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.process = subprocess.Popen(
            dying_with_parent(command.words),
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.last.append(line.rstrip("\n"))
            self._output.line(self.name, self.last[-1])

    def wait(self) -> int:
        """Its exit code; what it wrote is out by then."""
        code = self.process.wait()
        self._reader.join(READ_ON_SECONDS)
        return code


def run(commands: Sequence[Command], stream: TextIO) -> int:
    """Runs all of them to their end; 0, 1 where one failed, or 128 and the number of the signal that ended it."""
    output = Output(stream, [command.name for command in commands])
    running: list[Running] = []
    signals: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        signals.append(number)
        for each in running:
            signal_group(each.process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for command in commands:
            running.append(Running(command, output))
        codes = [each.wait() for each in running]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each, code in zip(running, codes, strict=True):
        for line in ("", "once more the end of what failed:", *each.last) if code else ():
            output.line(each.name, line)
    for each, code in zip(running, codes, strict=True):
        output.line(each.name, f"exit code {code}: {each.last[-1] if each.last else 'it wrote nothing'}")
    return 128 + signals[0] if signals else int(any(codes))


def main(arguments: Sequence[str]) -> int:
    try:
        commands = [Command.of(text) for text in arguments]
    except ValueError as error:
        sys.stderr.write(f"{error}\n{USAGE}\n")
        return 2
    if len({command.name for command in commands}) < max(2, len(commands)):
        sys.stderr.write(f"There must be two commands or more, each with a name of its own.\n{USAGE}\n")
        return 2
    return run(commands, sys.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
