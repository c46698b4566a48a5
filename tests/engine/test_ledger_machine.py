from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings

from ingestions.engine.ledger import State, Store
from tests.engine.machine import LedgerMachine
from tests.engine.memory import Ledger, MemoryStore, Row


class MemoryBackend:
    def __init__(self) -> None:
        self.ledger = Ledger()

    def take_over(self, trip: Callable[[str], None]) -> Store:
        return MemoryStore(self.ledger, trip)

    def discovered(self) -> bool:
        return self.ledger.discovered

    def run_ended(self) -> None:
        self.ledger.discovered = False

    def cancel(self, wanted: bool) -> None:
        self.ledger.cancel = wanted

    def rows(self) -> list[tuple[str, State, int]]:
        return [(row.file.address, row.state, row.rows or 0) for row in self.ledger.rows.values()]

    def _newest(self) -> list[Row]:
        return list({row.file.address: row for row in self.ledger.rows.values()}.values())

    def retry(self) -> None:
        for row in self._newest():
            if row.state is State.FAILED:
                row.state, row.shape, row.batch = State.DISCOVERED, None, ""

    def newest(self) -> list[tuple[str, State, int]]:
        return [(row.file.address, row.state, row.rows or 0) for row in self._newest()]

    def open_batches(self) -> set[str]:
        return {id_ for id_ in self.ledger.batches if id_ not in self.ledger.outcomes}

    def close(self) -> None:
        pass


class MemoryMachine(LedgerMachine):
    def backend_made(self) -> MemoryBackend:
        return MemoryBackend()


TestLedgerInMemory = MemoryMachine.TestCase
TestLedgerInMemory.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
