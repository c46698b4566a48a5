"""What a worker process of ours does beside taking tasks: it beats, it knows when to stop, and it dies with its parent.

django-q2 tells workers nothing when their cluster is asked to stop, and after a ``kill -9`` of the parent they go on
taking tasks. So the command ``run_worker`` leaves a flag for them, and each worker watches its parent.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

FLAG_VARIABLE = "AUTOLOADER_STOP_FLAG"
BEAT_SECONDS = 10
WATCH_SECONDS = 1


def stop_requested() -> bool:
    """Whether this process was asked to hand over at the next whole batch."""
    flag = os.environ.get(FLAG_VARIABLE)
    return bool(flag) and Path(str(flag)).exists()


def on_spawn(**_: object) -> None:
    """django-q2's ``post_spawn``: runs in each new worker process, before its first task."""
    threading.Thread(target=_watch_parent, args=(os.getppid(),), name="parent-watch", daemon=True).start()
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def _watch_parent(parent: int) -> None:
    """An orphan ends at once, in mid-step: recovery is by lease, never by a tidy exit."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _beat() -> None:
    from ingestions.services.heartbeat import beat_for_ever

    beat_for_ever(kind="worker", seconds=BEAT_SECONDS)
