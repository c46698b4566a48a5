"""What a worker process of ours does beside taking tasks: it beats, it knows when to stop, and it dies with its parent.

django-q2 tells workers nothing when their cluster is asked to stop, and after a ``kill -9`` of the parent they go on
taking tasks; so does the process that takes them off the queue. So the command ``run_worker`` leaves a flag for them,
and each process that it forks watches its parent.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

FLAG_VARIABLE = "AUTOLOADER_STOP_FLAG"
BEAT_SECONDS = 10
WATCH_SECONDS = 1
#: the process that watches its parent already; a forked one finds its parent's number here.
_watching = 0


def stop_requested() -> bool:
    """Whether this process was asked to hand over at the next whole batch."""
    flag = os.environ.get(FLAG_VARIABLE)
    return bool(flag) and Path(str(flag)).exists()


def on_spawn(**_: object) -> None:
    """django-q2's ``post_spawn``: runs in each new worker process, before its first task."""
    die_with_parent()
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def die_with_parent() -> None:
    """Ends this process soon after its parent. Called in each one that was forked, and where processes are not forked
    in the workers alone."""
    global _watching
    if _watching != os.getpid():
        _watching = os.getpid()
        threading.Thread(target=_watch_parent, args=(os.getppid(),), name="parent-watch", daemon=True).start()


def _watch_parent(parent: int) -> None:
    """An orphan ends at once, in mid-step: recovery is by lease, never by a tidy exit."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _beat() -> None:
    from ingestions.services.heartbeat import beat_for_ever

    beat_for_ever(kind="worker", seconds=BEAT_SECONDS)
