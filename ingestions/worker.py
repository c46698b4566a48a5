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
#: beyond the time to finish: an interruption, a publish in hand, and the queue's own end.
STUCK_SECONDS = 25
#: the process that watches its parent already; a forked one finds its parent's number here.
_watching = 0


def request_stop(seconds: float) -> None:
    """Tells the workers of this process's flag that they have so long to finish what they have in hand."""
    flag = Path(os.environ[FLAG_VARIABLE])
    if not flag.exists():  # a second request gives no more time
        draft = flag.with_suffix(".draft")
        draft.write_text(str(time.monotonic() + seconds))  # of the machine: the same in each of its processes
        draft.rename(flag)


def stop_requested() -> bool:
    """Whether this process was asked to hand over at the next whole batch."""
    flag = os.environ.get(FLAG_VARIABLE)
    return bool(flag) and Path(str(flag)).exists()


def stop_overdue() -> bool:
    """Whether the time to finish is over: what this process has in hand is handed over as it is."""
    if not stop_requested():
        return False
    try:
        return time.monotonic() >= float(Path(os.environ[FLAG_VARIABLE]).read_text())
    except (OSError, ValueError):
        return False


def leave() -> None:
    """Ends this process in the middle of a step that does not end; the run was given back before."""
    os._exit(0)


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
