"""Any order of arrivals, overwrites, crashes at any step, late commits of the dead and second workers: each version of
each file that the ledger calls loaded has its rows in the table once, and every run can be brought to its end.

The machine is the same for every ledger: a backend says how a worker takes the run over and what the ledger holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from autoloader.lib.errors import AutoloaderError, LeaseLost, RunStopped
from ingestions.engine.ledger import State, Store
from ingestions.engine.run import Outcome, run_slice
from tests.engine.memory_table import Crash, MemorySource, Table, context_of

#: steps of a loader that are interrupted when a run is cancelled.
INTERRUPTIBLE = frozenset(
    {"infer", "before branch", "after branch", "find", "before stage", "during stage", "after stage", "audit"}
)
NAMES = st.sampled_from([f"memory://feed/{letter}.csv" for letter in "abcdef"])


class Backend(Protocol):
    """One ledger, as the machine needs it."""

    def take_over(self, trip: Callable[[str], None]) -> Store:
        """A new worker's store: every earlier one is fenced out from now on."""

    def discovered(self) -> bool: ...
    def run_ended(self) -> None:
        """The run has its outcome; the next one lists again."""

    def cancel(self, wanted: bool) -> None: ...
    def retry(self) -> None:
        """A person retries every file that has failed and was not overwritten since."""

    def rows(self) -> list[tuple[str, State, int]]:
        """(address, state, rows) of every entry."""

    def newest(self) -> list[tuple[str, State, int]]:
        """The same of the newest version of each file."""

    def open_batches(self) -> set[str]: ...
    def close(self) -> None: ...


class LedgerMachine(RuleBasedStateMachine):
    def backend_made(self) -> Backend:
        raise NotImplementedError  # each test's machine says which

    def __init__(self) -> None:
        super().__init__()
        self.backend = self.backend_made()
        self.source = MemorySource()
        self.table = Table()
        self.late: list[Callable[[], None]] = []
        self.recreated: set[str] = set()

    def teardown(self) -> None:
        self.backend.close()

    def _work(
        self, crash_at: int | None = None, stop_at: int | None = None, empty_at: int | None = None
    ) -> Outcome | None:
        """A worker takes the run over and works a slice; it dies at its ``crash_at``-th step, or is interrupted at the
        first step from ``stop_at`` on that can be, or all files vanish at its ``empty_at``-th step.
        """
        count = 0

        def trip(step: str) -> None:
            nonlocal count
            count += 1
            if count == empty_at:
                self._empty()
            if crash_at is not None and count >= crash_at:
                raise Crash(step)
            if stop_at is not None and count >= stop_at and step in INTERRUPTIBLE:
                self.backend.cancel(True)
                raise RunStopped

        context = context_of(self.table, self.source, self.backend.take_over(trip), trip, self.late)
        try:
            return run_slice(context, budget_seconds=3600)
        except (Crash, LeaseLost):
            return None

    @rule(name=NAMES, rows=st.integers(0, 3))
    def file_arrives(self, name: str, rows: int) -> None:
        """A new file, or a new version of one that no batch holds (content is read by address in this model)."""
        busy = {address for address, state, _ in self.backend.rows() if state is State.CLAIMED}
        if name not in busy:
            self.source.put(name, b"a,b\n" + b"1,2\n" * rows)

    def _empty(self) -> None:
        for name in list(self.source.files):
            self.source.take_away(name)

    @rule(name=NAMES)
    def file_vanishes(self, name: str) -> None:
        self.source.take_away(name)

    @rule(empty_at=st.integers(1, 40))
    def files_vanish_while_they_are_loaded(self, empty_at: int) -> None:
        if self._work(empty_at=empty_at) is Outcome.DONE:
            self.backend.run_ended()
        assert not self.backend.open_batches()

    @rule(crash_at=st.integers(1, 60))
    def files_vanish_while_nobody_works(self, crash_at: int) -> None:
        self.worker_dies(crash_at)
        self._empty()

    @rule(name=NAMES)
    def file_comes_back(self, name: str) -> None:
        self.source.give_back(name)

    @rule()
    def failed_files_are_retried(self) -> None:
        self.backend.retry()

    @rule(crash_at=st.integers(1, 80))
    def worker_dies(self, crash_at: int) -> None:
        if self._work(crash_at) is Outcome.DONE:
            self.backend.run_ended()

    @rule()
    def run_is_cancelled(self) -> None:
        self.backend.cancel(True)
        outcome = self._work()
        self.backend.cancel(False)
        if outcome in (Outcome.DONE, Outcome.CANCELLED):
            self.backend.run_ended()

    @rule(stop_at=st.integers(1, 60))
    def step_is_interrupted(self, stop_at: int) -> None:
        """Cancelled in the middle of a step: whole batches or nothing, whatever earlier workers left behind."""
        outcome = self._work(stop_at=stop_at)
        self.backend.cancel(False)
        if outcome in (Outcome.DONE, Outcome.CANCELLED):
            self.backend.run_ended()

    @rule()
    def dead_commit_arrives_late(self) -> None:
        if not self.late:
            return
        before = set(self.table.refs)
        try:
            self.late.pop()()
        except AutoloaderError:
            return  # the compare-and-swap refused it
        self.recreated |= set(self.table.refs) - before

    @rule()
    def run_ends_by_itself(self) -> None:
        assert self._work() is Outcome.DONE
        self.backend.run_ended()
        assert all(state in (State.LOADED, State.SKIPPED, State.FAILED) for _, state, _ in self.backend.rows())
        assert not self.backend.open_batches()
        if not self.late:
            assert set(self.table.refs) - self.recreated == {"main"}

    @rule()
    def all_that_is_there_can_be_loaded(self) -> None:
        """What failed because it had gone, too: once it is there again and somebody retries it."""
        for name in list(self.source.away):
            self.source.give_back(name)
        self.run_ends_by_itself()
        self.backend.retry()
        self.run_ends_by_itself()
        newest = self.backend.newest()
        assert all(state in (State.LOADED, State.SKIPPED) for _, state, _ in newest)
        assert set(self.source.files) <= {address for address, _, _ in newest}

    @invariant()
    def nothing_is_doubled_and_nothing_is_lost(self) -> None:
        loaded: Counter[str] = Counter()
        for address, state, rows in self.backend.rows():
            if state == State.LOADED:
                loaded[address] += rows
        still_open = self.backend.open_batches()
        published = [snapshot for snapshot in self.table.ancestors("main") if snapshot.rows]
        settled: Counter[str] = Counter()
        for snapshot in published:
            if snapshot.batch not in still_open:
                settled.update(snapshot.rows)
        assert +settled == +loaded
        batches = [snapshot.batch for snapshot in published]
        assert len(batches) == len(set(batches)), "a batch was published twice"
