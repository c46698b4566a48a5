"""Rows of an earlier version of a file out of the table, in one publication with the rows of the later one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ingestions.engine.ledger import AttemptState
from ingestions.engine.loader.base import BATCH_ID, SOURCE_FILE
from ingestions.engine.loader.sql import literal

if TYPE_CHECKING:
    from ingestions.engine.loader.loader import SparkTableLoader


def delete(loader: SparkTableLoader, attempt: AttemptState, pairs: Collection[tuple[str, str]]) -> tuple[int, ...]:
    """Deletes the rows of these (batch id, address) on the attempt's branch; the snapshot that did it, if one did."""
    if not pairs:
        return ()
    loader.spark.sql(f"DELETE FROM {loader.branch(attempt.branch)} WHERE {of(pairs)}")
    head = loader.own_step(attempt, attempt.base_snapshot_id)
    return (head,) if head is not None and head != attempt.base_snapshot_id else ()


def left(loader: SparkTableLoader, pairs: Collection[tuple[str, str]], branch: str = "") -> dict[tuple[str, str], int]:
    """Rows per (batch id, address) of these that are there, on ``branch`` or in the table."""
    if not pairs:
        return {}
    table = loader.branch(branch) if branch else loader.table
    if not branch:
        loader.refresh()
    rows = loader.spark.sql(
        f"SELECT {BATCH_ID}, {SOURCE_FILE}, count(*) AS n FROM {table} WHERE {of(pairs)} GROUP BY 1, 2"
    ).collect()
    return {(row[BATCH_ID], row[SOURCE_FILE]): row["n"] for row in rows}


def of(pairs: Collection[tuple[str, str]]) -> str:
    """A condition. Rows of others stay, whatever file they name: a batch's id is ours alone. Each file's rows are
    looked for in its own batches; pairs with equal batches share a list of names."""
    names: dict[str, set[str]] = {}
    for batch, address in pairs:
        names.setdefault(batch, set()).add(address)
    return " OR ".join(
        f"({BATCH_ID} = {literal(batch)} AND {SOURCE_FILE} IN ({', '.join(map(literal, sorted(addresses)))}))"
        for batch, addresses in sorted(names.items())
    )
