"""What a soak sees over time, and what it concludes from that."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: MB between the first third and the last one up to which a process's memory counts as flat, and the share of it.
FLAT_MB, FLAT_SHARE = 3.0, 0.02
#: errors that the verdict shows.
SHOWN = 20


@dataclass(frozen=True)
class Growth:
    """MB of one process: medians of the first and the last third; ``slope``: MB an hour, by least squares."""

    first: float
    last: float
    slope: float

    @property
    def flat(self) -> bool:
        return self.last - self.first <= max(FLAT_MB, FLAT_SHARE * self.first)


@dataclass
class Figures:
    """``memory``: (role, process id) → (seconds since the start, MB); ``batches``: seconds that each took."""

    memory: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=dict)
    batches: list[float] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    lines: list[str] = field(default_factory=list)
    _told: int = 0

    def sampled(self, at: float, found: Mapping[tuple[str, int], float]) -> None:
        for key, mb in found.items():
            self.memory.setdefault(key, []).append((at, mb))

    def line(self, at: float, waiting: int, now: Mapping[tuple[str, int], float]) -> str:
        """What is new since the last line."""
        new = self.batches[self._told :]
        self._told = len(self.batches)
        runs = ", ".join(f"{count} {status}" for status, count in sorted(self.ended.items())) or "none"
        line = (
            f"{at // 60:3.0f}:{at % 60:02.0f}  {waiting:4d} wait; runs {runs}; "
            f"{len(new)} batches, p50 {percentile(new, 50):.1f} s, p95 {percentile(new, 95):.1f} s; MB {_by_kind(now)}"
        )
        self.lines.append(line)
        return line

    def growth(self) -> dict[tuple[str, int], Growth]:
        """Of the processes that were looked at in both thirds."""
        end = max((at for series in self.memory.values() for at, _ in series), default=0.0)
        found = {}
        for key, series in self.memory.items():
            first = [mb for at, mb in series if at <= end / 3]
            last = [mb for at, mb in series if at >= end * 2 / 3]
            if first and last:
                slope = statistics.linear_regression(*zip(*series, strict=True)).slope
                found[key] = Growth(statistics.median(first), statistics.median(last), slope * 3600)
        return found

    def verdict(self) -> str:
        """Memory by process, batches, what was loaded, failures."""
        found = self.growth()
        rows = [f"{'process':12}  {'first third':>11}  {'last third':>11}  {'growth':>9}  {'an hour':>10}"]
        for (role, _), each in sorted(found.items()):
            said = "" if role == "spark" else "  flat" if each.flat else "  GROWS"
            rows.append(
                f"{role:12}  {each.first:8.1f} MB  {each.last:8.1f} MB  {each.last - each.first:+6.1f} MB  "
                f"{each.slope:+7.1f} MB{said}"
            )
        ended = [f"{role} ({pid})" for role, pid in self.memory if (role, pid) not in found]
        if ended:
            rows.append(f"not there all the time: {', '.join(sorted(ended))}")
        rows += [
            "",
            f"batches: {len(self.batches):,}, p50 {percentile(self.batches, 50):.1f} s, "
            f"p95 {percentile(self.batches, 95):.1f} s",
            f"loaded: {self.files:,} files, {self.rows:,} rows",
            f"runs: {', '.join(f'{count:,} {status}' for status, count in sorted(self.ended.items())) or 'none'}",
            f"errors: {len(self.errors) or 'none'}",
            *(f"  {error}" for error in self.errors[:SHOWN]),
        ]
        return "\n".join(rows)


def percentile(values: Sequence[float], share: int) -> float:
    """The value that so many percent are not above; 0 where there is none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else 0.0


def _by_kind(now: Mapping[tuple[str, int], float]) -> str:
    """As ``worker 210+205``, without the numbers of processes of one kind."""
    kinds: dict[str, list[str]] = {}
    for (role, _), mb in sorted(now.items()):
        kinds.setdefault(_kind(role), []).append(f"{mb:.0f}")
    return ", ".join(f"{kind} {'+'.join(each)}" for kind, each in kinds.items())


def _kind(role: str) -> str:
    return role.rstrip("0123456789 ")


def told(errors: Iterable[Mapping[str, str]]) -> list[str]:
    """A run's errors in a line each."""
    return [f"{error.get('file') or 'run'}: {error['error_type']}: {error['message']}"[:300] for error in errors]
