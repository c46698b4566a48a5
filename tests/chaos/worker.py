"""``python -m tests.chaos.worker run_worker``: a command of ``manage.py`` whose worker processes have the points."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import django

from manage import main
from tests.chaos.points import FOLDER_VARIABLE, Points


def _on_spawn(**_: object) -> None:
    """In each new worker process; its parents have no need of PySpark, and must not have it."""
    from ingestions.services import execution

    folder = Path(os.environ[FOLDER_VARIABLE])
    Points(folder).install()
    execution.run_work = _noted(folder, execution.run_work)


def _noted(folder: Path, work: Callable[..., bool]) -> Callable[..., bool]:
    """With a file that says that this process is at work: a run may have ended before its last worker is done."""

    def noted(**kwargs: Any) -> bool:
        busy = folder / f"busy {os.getpid()}"
        busy.touch()
        try:
            return work(**kwargs)
        finally:
            with suppress(FileNotFoundError):
                busy.unlink()

    return noted


if __name__ == "__main__":
    django.setup()
    from django_q.signals import post_spawn

    post_spawn.connect(_on_spawn, dispatch_uid="tests.chaos")
    main()
