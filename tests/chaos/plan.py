"""What happens in a round, out of the seed and the round's number alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.chaos.feeds import Feed, File
from tests.chaos.points import AFTER, BEFORE, DURING, Armed

#: drawn like cards, so that a few rounds have seen most of them. What each does: ``tests.chaos.faults``.
DECK = (
    "worker", "worker", "worker", "worker", "zombie", "zombie", "spark", "postgres", "foreign",
    "parent", "group", "worker and schedulers", "connections", "some process",
)  # fmt: skip
#: what the process at the point does itself; the rest is done from outside while it waits.
ACTIONS = {
    "worker": "kill", "worker and schedulers": "kill", "zombie": "stop", "parent": "parent", "group": "group",
}  # fmt: skip
#: of each batch of a run.
BATCHWISE = ("batch", "attempt", "branch", "based", "stage", "audit", "fence", "publish", "loaded")
STEPS = ("discovery", "discovered", *BATCHWISE, "attempt ended", "sweep", "swept", "settle", "finish")
#: where another writer gets between a branch and its publication.
CONTESTED = (
    ("branch", AFTER), ("based", AFTER), ("stage", BEFORE), ("stage", AFTER), ("audit", AFTER), ("publish", BEFORE),
)  # fmt: skip
#: they take long enough to be hit in the middle.
LONG = ("branch", "stage", "audit", "publish", "sweep", "quarantine", "staging table", "alter")


@dataclass(frozen=True)
class Fault:
    """``armed`` ``None``: at a time (``delay`` seconds after the runs were started) instead of at a point. ``seconds``:
    how long what was stopped stays away. ``draw``: a number for what is chosen among processes."""

    kind: str
    target: str
    armed: Armed | None
    delay: float
    seconds: float
    draw: int

    def __str__(self) -> str:
        if self.armed is None:
            return f"{self.kind} after {self.delay:.1f} s"
        during = f" {self.armed.delay * 1000:.0f} ms" if self.armed.when == DURING else ""
        return f"{self.kind} {self.armed.when}{during} {self.armed.place!r} #{self.armed.nth} of {self.target}"


@dataclass(frozen=True)
class Round:
    """``files`` are there before the runs are started, ``late`` arrive while they go on."""

    number: int
    files: tuple[File, ...]
    late: tuple[File, ...]
    late_after: float
    fault: Fault

    @property
    def feeds(self) -> list[str]:
        """That get a run, in this order."""
        return list(dict.fromkeys(file.feed for file in self.files))


class Plan:
    """Rounds one after the other; the same seed makes the same ones."""

    def __init__(self, seed: int, feeds: dict[str, Feed], ingestions: dict[str, str]) -> None:
        self.seed = seed
        self._feeds = feeds
        self._ingestions = ingestions
        self._deck: list[str] = []

    def round(self, number: int) -> Round:
        random = Random(f"{self.seed}/{number}")
        kind = self._draw(random)
        able = [name for name, feed in self._feeds.items() if kind != "foreign" or feed.foreign]
        target = random.choice(able)
        others = [name for name in self._feeds if name != target]
        chosen = [target, *random.sample(others, random.choice((0, 0, 1, 1, 2)))]
        random.shuffle(chosen)
        files: list[File] = []
        late: list[File] = []
        for name in chosen:
            made = self._feeds[name].make(random, number)
            # what replaces a table has to be there as a whole
            split = len(made) - random.choice((0, 0, 2)) if self._feeds[name].foreign else len(made)
            files += made[:split]
            late += made[split:]
        return Round(number, tuple(files), tuple(late), random.uniform(0, 3), self._fault(random, kind, target, number))

    def _draw(self, random: Random) -> str:
        if not self._deck:
            self._deck = list(DECK)
            random.shuffle(self._deck)
        return self._deck.pop()

    def _fault(self, random: Random, kind: str, target: str, number: int) -> Fault:
        delay, seconds, draw = random.uniform(0.2, 4), random.uniform(0.5, 5), random.randrange(1000)
        if kind == "some process" or (kind in ("postgres", "connections") and random.random() < 0.3):
            return Fault(kind, target, None, delay, seconds, draw)
        if kind == "foreign":
            place, when = random.choice(CONTESTED)
        else:
            place = random.choice((*STEPS, *BATCHWISE, *self._feeds[target].places() * 3))
            when = random.choice((BEFORE, AFTER, DURING) if place in LONG else (BEFORE, AFTER))
        several = place in BATCHWISE and self._feeds[target].foreign
        nth = random.choice((1, 1, 1, 2)) if several else 1
        armed = Armed(
            number, self._ingestions[target], place, when, ACTIONS.get(kind, "wait"),
            delay=random.uniform(0.01, 0.5), nth=nth,
        )  # fmt: skip
        return Fault(kind, target, armed, delay, seconds, draw)
