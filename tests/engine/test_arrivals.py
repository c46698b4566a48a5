"""Incremental listings with audits against whole ones, over the ledger in memory."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ingestions.engine.ledger import State
from tests.engine.arrivals import ArrivalMachine
from tests.engine.memory import Ledger, MemoryStore


class MemoryPair:
    def __init__(self, machine: MemoryArrivals) -> None:
        self.machine = machine
        self.ledgers = {"incremental": Ledger(), "whole": Ledger()}

    def _store(self, which: str) -> Any:
        return MemoryStore(self.ledgers[which], lambda step: None, lambda: self.machine.bucket.now)

    def incremental(self) -> Any:
        return self._store("incremental")

    def whole(self) -> Any:
        return self._store("whole")

    def rows(self, which: str) -> dict[tuple[str, str], State]:
        return {(row.file.address, row.file.version): row.state for row in self.ledgers[which].rows.values()}

    def close(self) -> None:
        pass


class MemoryArrivals(ArrivalMachine):
    def pair_made(self) -> MemoryPair:
        return MemoryPair(self)


def test_incremental_listings_with_audits_find_what_whole_ones_find() -> None:
    run_state_machine_as_test(
        MemoryArrivals, settings=settings(max_examples=200, stateful_step_count=25, deadline=None)
    )
