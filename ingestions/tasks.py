"""django-q2's entry points: an id in, one service call, nothing else."""

from __future__ import annotations


def work(run_id: str) -> None:
    """One slice of this run, or of a more urgent one. Any number of these for one run is harmless."""
    from ingestions.services.execution import run_work_next  # not at import: the pusher needs no PySpark

    run_work_next(run_id=run_id)
