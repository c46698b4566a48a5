"""Whatever comes in whatever order: incremental listings with audits find what whole listings find.

One bucket, two ledgers: one is fed by listings that start after the last names, the other by whole ones. The machine is
the same for every store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ingestions.engine.ledger import State
from tests.engine.bucket import BASE, Bucket, look

#: names that grow, in one folder and in two, below dates and not at all.
FEEDS: dict[str, Callable[[int], str]] = {
    "counter": lambda number: f"orders-{number:05d}.csv",
    "folders": lambda number: f"shop={'ab'[number % 2]}/{number:05d}.csv",
    "dates": lambda number: f"dt=2026-01-{1 + number % 28:02d}/{number * 7919 % 1000:03x}.csv",
    "odd": lambda number: f'it\'s "{number * 7919 % 1000:03x}" \n ☃ {number}.csv',
}
FIRST = 12


class Pair(Protocol):
    """Two ledgers of one kind."""

    def incremental(self) -> Any:
        """The store for the next listing."""

    def whole(self) -> Any: ...
    def rows(self, which: str) -> dict[tuple[str, str], State]:
        """(address, version) → state, of ``incremental`` or ``whole``."""

    def close(self) -> None: ...


class ArrivalMachine(RuleBasedStateMachine):
    def pair_made(self) -> Pair:
        raise NotImplementedError  # each test's machine says which

    def __init__(self) -> None:
        super().__init__()
        self.pair = self.pair_made()
        self.bucket = Bucket()

    def teardown(self) -> None:
        self.pair.close()

    @initialize(feed=st.sampled_from(sorted(FEEDS)))
    def files_are_there(self, feed: str) -> None:
        self.name = FEEDS[feed]
        self.bucket.put(*(self.name(number) for number in range(FIRST)))
        self.bucket.wait(hours=1)
        self._look()

    @rule(number=st.integers(0, 60), again=st.booleans(), size=st.integers(0, 2))
    def file_arrives(self, number: int, again: bool, size: int) -> None:
        """A new name, before or behind the last one seen; or one that is there is overwritten."""
        if again or f"{BASE}{self.name(number)}" not in self.bucket.objects:
            self.bucket.put(self.name(number), size=size)

    @rule(number=st.integers(0, 60))
    def file_is_deleted(self, number: int) -> None:
        self.bucket.delete(self.name(number))

    @rule()
    def bucket_is_emptied_and_filled_anew(self) -> None:
        there = [address.removeprefix(BASE) for address in self.bucket.objects]
        self.bucket.objects.clear()
        self.bucket.put(*there[::2])

    @rule(seconds=st.integers(0, 2000))
    def time_passes(self, seconds: int) -> None:
        self.bucket.wait(seconds=seconds)

    @rule()
    def both_list(self) -> None:
        self._look()

    def _look(self) -> None:
        found = look(self.bucket, self.pair.incremental(), discovery="incremental", lateness_hours=1, **SETTLE)
        assert found.complete
        look(self.bucket, self.pair.whole(), discovery="full", **SETTLE)
        assert self.pair.rows("incremental").keys() <= self.pair.rows("whole").keys(), "found what is not there"

    @rule()
    def an_audit_is_due(self) -> None:
        """From then on nothing that is in the bucket has been missed, and nothing is judged otherwise."""
        self.bucket.wait(days=2)
        self._look()
        one, other = self.pair.rows("incremental"), self.pair.rows("whole")
        for file in self.bucket.objects.values():
            at = (file.address, file.version)
            assert at in one, f"{at} was missed"
            assert (one[at] is State.DISCOVERED) == (other[at] is State.DISCOVERED)


SETTLE = {"settle_seconds": 60}
