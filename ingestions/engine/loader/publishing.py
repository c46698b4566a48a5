"""Main moves to what was staged, or nothing happens: it must stand where the branch began, and the branch must hold
what was audited and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from autoloader.lib.errors import FatalError
from ingestions.engine.ledger import AttemptState
from ingestions.engine.loader import asking
from ingestions.engine.loader.base import LostRace, Plan, Staged
from ingestions.engine.loader.evolving import EvolvingTable
from ingestions.engine.loader.snapshots import BrokenChain, History
from ingestions.engine.loader.sql import identifier, literal


@dataclass(slots=True)
class Branch:
    """What a loader remembers of a branch that it stages on."""

    batch: str
    plan: Plan
    #: the table's snapshots, when all of the batch had been staged.
    history: History | None = None
    #: holds rows that a careful look might see otherwise: never to be published.
    uncertain: bool = False


def publish(table: EvolvingTable, attempt: AttemptState, staged: Staged, known: Branch | None, *, again: bool) -> None:
    """One try. ``known``: what is remembered of the branch; with ``again`` the table is looked at anew."""
    snapshot_id = staged.snapshot_id
    if again:  # the first time the table is as staging left it; where it is not, the commit is refused
        table.refresh()
    history = _now(table, attempt, None if again or known is None else known.history)
    main = history.refs.get("main")
    if snapshot_id is None or (main is not None and history.holds(main, snapshot_id)):
        return  # an earlier try came through, though its answer did not
    _check(history, attempt, staged, snapshot_id)
    if main is not None and main != attempt.base_snapshot_id:
        raise LostRace("lost_race", "Something else was published into the table since the branch was made.")
    _check_new(history, attempt, known.batch if known else "")
    _fast_forward(table, attempt, snapshot_id)


def _now(table: EvolvingTable, attempt: AttemptState, known: History | None) -> History:
    """The branches as they are now. The ancestors of what was staged are what they were, so only where the branch has
    moved, and when a first try came to nothing, there is more to read."""
    if known is not None:
        refs = table.heads()
        if refs.get(attempt.branch) == known.refs.get(attempt.branch):
            return History(known.snapshots, refs)
    return table.history()[0]


def _check(history: History, attempt: AttemptState, staged: Staged, snapshot_id: int) -> None:
    if history.refs.get(attempt.branch) != snapshot_id:
        raise LostRace("branch_changed", f"The branch {attempt.branch} does not end in what was audited.")
    own = {each.id for each in history.snapshots.values() if each.attempt == attempt.branch}
    try:
        foreign = history.foreign(snapshot_id, attempt.base_snapshot_id, own.union(staged.own))
    except BrokenChain as error:
        raise LostRace("chain_broken", f"The branch {attempt.branch} does not begin where it was made.") from error
    if foreign is not None:
        raise LostRace("foreign_snapshot", f"The branch {attempt.branch} holds a foreign snapshot ({foreign}).")


def _check_new(history: History, attempt: AttemptState, batch_id: str) -> None:
    """The batch is not among the ancestors of the branch: whoever staged it may not have looked before."""
    try:
        found = history.find_batch(attempt.base_snapshot_id, batch_id)
    except BrokenChain:  # who stages a batch that others may have published has asked the rows
        return
    if found is not None:
        raise LostRace("published_already", f"The batch was published by an earlier attempt (snapshot {found.id}).")


def _fast_forward(table: EvolvingTable, attempt: AttemptState, snapshot_id: int) -> None:
    destination = table.destination
    name = literal(identifier(destination.database, destination.table))
    rows = asking.answer(
        table.spark,
        f"CALL {identifier(destination.catalog)}.system.fast_forward"
        f"(table => {name}, branch => 'main', to => {literal(attempt.branch)})",
    )
    if rows[0]["updated_ref"] != snapshot_id:
        raise FatalError(
            "published_more",
            f"The branch {attempt.branch} was written to while it was published: main is at "
            f"{rows[0]['updated_ref']}, and {snapshot_id} was audited.",
            "Compare the table with the ledger (manage.py ledger verify) before the next run.",
        )
