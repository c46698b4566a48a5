"""Commands side by side: each to its end, each line under its command's name, and what failed is told."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

from autoloader.lib.processes import started_at

ROOT = Path(__file__).resolve().parents[2]


def command(name: str, code: str) -> str:
    return f"{name}: {quote(sys.executable)} -c {quote(code)}"


def start(*commands: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.side_by_side", *commands],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(*commands: str) -> tuple[int, list[str]]:
    """The exit code and the lines, where there are no two that waited for each other in vain."""
    process = start(*commands)
    told, _ = process.communicate(timeout=60)
    return process.returncode, told.splitlines()


def meet(here: Path, there: Path) -> str:
    """Code that leaves a file and waits for the other's."""
    return (
        "import pathlib, time\n"
        f"pathlib.Path({str(here)!r}).touch()\n"
        f"while not pathlib.Path({str(there)!r}).exists(): time.sleep(0.01)\n"
        "print('met')"
    )


def test_they_run_at_the_same_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code, lines = ended(command("one", meet(one, two)), command("other", meet(two, one)))
    assert code == 0
    assert {"one   | met", "other | met"} <= set(lines)
    assert lines[-2:] == ["one   | exit code 0: met", "other | exit code 0: met"]


def test_a_failure_stops_nothing_and_hides_nothing(tmp_path: Path) -> None:
    flag = tmp_path / "failed"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(flag)!r}).exists(): time.sleep(0.01)\nprint('1 passed')"
    fails = f"import pathlib\nprint('why')\nprint('1 failed')\npathlib.Path({str(flag)!r}).touch()\nraise SystemExit(3)"
    code, lines = ended(command("bad", fails), command("good", waits))
    assert code == 1
    assert lines[-6:] == [
        "bad  |",
        "bad  | once more the end of what failed:",
        "bad  | why",
        "bad  | 1 failed",
        "bad  | exit code 3: 1 failed",
        "good | exit code 0: 1 passed",
    ]


def test_lines_stay_whole_and_are_seen_at_once() -> None:
    many = "for number in range(2000): print('x' * 200)"
    code, lines = ended(command("a", many), command("b", many))
    assert code == 0
    assert lines.count(f"a | {'x' * 200}") == lines.count(f"b | {'x' * 200}") == 2000
    process = start(command("a", "print('begun')\nimport time\ntime.sleep(60)"), command("b", "pass"))
    assert process.stdout is not None
    assert any(line == "a | begun\n" for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def test_ctrl_c_reaches_all_of_them(tmp_path: Path) -> None:
    waits = (
        "import os, pathlib, sys, time\n"
        "try:\n print('ready', os.getpid(), flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n print('tidied up'); sys.exit(2)"
    )
    process = start(command("a", waits), command("b", waits))
    assert process.stdout is not None
    pids: list[int] = []
    while len(pids) < 2:
        words = process.stdout.readline().split()
        assert words[2] == "ready"
        pids.append(int(words[3]))
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert {"a | tidied up", "b | tidied up"} <= set(told.splitlines())
    assert not any(started_at(pid) for pid in pids)


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (("a: true",), "two commands or more"),
        (("a: true", "a: true"), "a name of its own"),
        (("a: true", "true"), "'true' is not “name: command”."),
        (("a: true", "b: "), "'b: ' is not “name: command”."),
        (("a: true", "b: 'x"), "No closing quotation"),
        (("a: true", "b: there-is-none"), "b: there is no program there-is-none."),
    ],
)
def test_what_it_cannot_run_starts_nothing(commands: tuple[str, ...], told: str) -> None:
    code, lines = ended(*commands)
    assert code == 2
    assert told in lines[0]
    assert lines[-1].startswith("usage: ")
