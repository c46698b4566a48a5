"""A run with many batches goes behind those that wait, and is done all the same."""

from __future__ import annotations

from dataclasses import replace

from ingestions.engine.run import Outcome, run_slice
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.memory_table import MemorySource, Table, context_of

FILES, PER_BATCH = 6, 2


def test_a_run_is_given_back_after_each_batch_where_others_wait() -> None:
    source, table, ledger = MemorySource(), Table(), Ledger()
    for number in range(FILES):
        source.put(f"memory://feed/{number}.csv", b"a,b\n1,2\n")

    def work(*, others: bool) -> Outcome:
        context = context_of(table, source, MemoryStore(ledger, lambda step: None), lambda step: None)
        return run_slice(replace(context, others_wait=lambda: others), budget_seconds=3600)

    assert work(others=True) is Outcome.MORE
    assert len(table.rows()) == PER_BATCH
    assert work(others=True) is Outcome.MORE
    assert work(others=False) is Outcome.DONE
    assert len(table.rows()) == FILES
