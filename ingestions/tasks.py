"""django-q2's entry points: an id in, one service call, nothing else."""

from __future__ import annotations


def work(run_id: str) -> None:
    """One slice of a run. Any number of these for one run is harmless."""
    from ingestions.services.execution import run_work  # not at import: the pusher loads tasks and needs no PySpark

    run_work(run_id=run_id)
