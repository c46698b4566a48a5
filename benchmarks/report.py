"""A table of figures, printed and kept."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Line:
    """``seconds``: a median; ``told``: what is compared with ``must`` and ``aim``."""

    what: str
    seconds: float | None
    told: str = ""
    must: str = ""
    aim: str = ""


@dataclass(frozen=True)
class Report:
    rounds: int
    lines: list[Line]
    words: str = ""

    def text(self) -> str:
        wide = max(len(line.what) for line in self.lines)
        rows = [f"{'':{wide}}  {'median':>9}  {'told':>9}  {'must':>7}  {'aim':>7}"]
        for line in self.lines:
            seconds = "" if line.seconds is None else f"{line.seconds:.2f} s"
            rows.append(f"{line.what:{wide}}  {seconds:>9}  {line.told:>9}  {line.must:>7}  {line.aim:>7}".rstrip())
        return "\n".join([f"{machine()}, median of {self.rounds}", "", *rows, "", self.words]).rstrip() + "\n"

    def finish(self, *, keep: bool, name: str = "") -> None:
        """Prints it; with ``keep`` also writes ``benchmarks/results/<date>-<commit>[-<name>].txt``."""
        text = self.text()
        print(text, end="")
        if keep:
            kept(text, name)


def kept(text: str, name: str = "") -> None:
    """Writes ``benchmarks/results/<date>-<commit>[-<name>].txt``, and says so."""
    RESULTS.mkdir(exist_ok=True)
    parts = [f"{datetime.now(UTC):%Y-%m-%d}", _commit(), *([name] if name else [])]
    path = RESULTS / f"{'-'.join(parts)}.txt"
    path.write_text(text, encoding="utf-8")
    print(f"kept as {path.relative_to(RESULTS.parent.parent)}")


def machine() -> str:
    load = f"load average {os.getloadavg()[1]:.1f} at the end"
    return f"{os.cpu_count()} cores ({load}), Python {platform.python_version()}"


def ratio(medians: Mapping[str, float], one: str, other: str) -> str:
    return f"{medians[one] / medians[other]:.2f} ×"


def difference(medians: Mapping[str, float], one: str, other: str) -> str:
    """As ``1.2 s longer than``."""
    seconds = medians[one] - medians[other]
    return f"{abs(seconds):.1f} s {'longer' if seconds > 0 else 'shorter'} than"


def _commit() -> str:
    """The commit that was measured, ``-changed`` where there were changes on top of it."""
    short = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changes = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (short.stdout.strip() or "unknown") + ("-changed" if changes.stdout.strip() else "")
