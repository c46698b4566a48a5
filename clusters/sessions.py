"""This process's pool of Spark sessions.

A lease is exclusive. Sessions are reused only for the same cluster, token and storage access, are checked before they
are, and go back as they were: whatever a lease set, created or cached is undone, or the session is given up.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from django.conf import settings

from autoloader.lib.errors import AutoloaderError, StaleSession, TransientError
from autoloader.lib.spark_errors import is_spark_error, translate
from clusters import conf as confs
from clusters.models import Cluster
from clusters.url import Target, parse

if TYPE_CHECKING:
    from clusters.connect import Session

__all__ = ["Lease", "SessionPool", "Target", "interrupt", "pool", "target_of"]

logger = logging.getLogger(__name__)

#: a leased session is interrupted again and again, so each answer is not waited for long.
INTERRUPT_SECONDS = 1.0


def target_of(cluster: Cluster) -> Target:
    """How to reach the cluster, the port written out."""
    return Target(str(parse(cluster.url, default_port=settings.SPARK_CONNECT_DEFAULT_PORT)), cluster.token or None)


@dataclass(frozen=True)
class Lease:
    """``spark`` is a Spark Connect session that nobody else uses until the lease ends; ``session_id`` is what
    :func:`interrupt` needs to end its statements from elsewhere. ``interrupt`` ends what the session does now, from
    another thread; it waits a second for the answer and raises what comes instead of one."""

    spark: Any
    session_id: str
    interrupt: Callable[[], object]


@dataclass
class _Pooled:
    session: Session
    key: tuple[Target, str]
    born_at: float
    idle_since: float


class SessionPool:
    """At most ``size`` sessions, idle ones included. An idle one is closed after ``idle_seconds``, any one that comes
    back ``max_age_seconds`` after it was opened. With all of them leased, a lease waits up to ``wait_seconds``.

    ``clock`` is monotonic seconds; it decides about age and idleness, not about waiting.
    """

    def __init__(
        self,
        *,
        size: int,
        idle_seconds: float,
        max_age_seconds: float,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._idle_seconds = idle_seconds
        self._max_age_seconds = max_age_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._idle: list[_Pooled] = []  # least recently used first
        self._leased = 0
        self._counts = {"opened": 0, "reused": 0, "closed": 0}
        self._stop = threading.Event()
        self._reaper: threading.Thread | None = None

    @contextmanager
    def lease(
        self, target: Target, *, timezone: str = "UTC", conf: Mapping[str, str] | None = None, fingerprint: str = ""
    ) -> Iterator[Lease]:
        """A session on ``target`` with the zone and ``conf`` set. ``conf`` may hold secrets; ``fingerprint`` stands
        for the access it gives, and sessions are never shared between two of them.

        Raises :class:`TransientError` (all leased, cluster gone), ``AccessError`` (refused) or ``FatalError``. Errors
        of Spark that the body lets out arrive as the product's own.
        """
        pooled = self._take((target, fingerprint), {confs.ZONE: timezone, **(conf or {})})
        clean = False
        try:
            session = pooled.session
            yield Lease(session.spark, session.session_id, lambda: session.interrupt_all(seconds=INTERRUPT_SECONDS))
            clean = True
        except StaleSession:
            raise  # and closed
        except AutoloaderError:
            clean = self._quiet(pooled)
            raise
        except Exception as error:
            clean = self._quiet(pooled)
            if is_spark_error(error):
                raise translate(error, f"working on {pooled.session.where}") from None
            raise
        finally:
            self._give_back(pooled, clean)

    def sweep(self) -> int:
        """Closes the sessions that were idle too long or are too old; how many."""
        with self._changed:
            expired = [pooled for pooled in self._idle if self._expired(pooled)]
            self._idle = [pooled for pooled in self._idle if pooled not in expired]
            self._changed.notify_all()
        for pooled in expired:
            self._close(pooled)
        return len(expired)

    def close(self) -> None:
        """Closes what is idle now and what is leased when it comes back. There are no leases afterwards."""
        self._stop.set()
        with self._changed:
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for pooled in idle:
            self._close(pooled)

    def stats(self) -> dict[str, int]:
        """``size``, ``leased``, ``idle`` and the counters ``opened``, ``reused``, ``closed``."""
        with self._changed:
            return {"size": self._size, "leased": self._leased, "idle": len(self._idle), **self._counts}

    # ---- out of the pool

    def _take(self, key: tuple[Target, str], settings: Mapping[str, str]) -> _Pooled:
        pooled, evicted = self._slot(key)
        try:
            if evicted is not None:
                self._close(evicted)
            if pooled is not None and self._usable(pooled, settings):
                self._count("reused")
                return pooled
            return self._open(key, settings)
        except BaseException:
            self._free_slot()
            raise

    def _slot(self, key: tuple[Target, str]) -> tuple[_Pooled | None, _Pooled | None]:
        """Waits for a place. An idle session of ``key``, or none, and the one that has to make room for a new one."""
        with self._changed:
            free = self._changed.wait_for(
                lambda: self._stop.is_set() or self._leased < self._size, timeout=self._wait_seconds
            )
            if self._stop.is_set():
                raise TransientError("sessions_closed", "This process is ending and opens no more Spark sessions.")
            if not free:
                raise TransientError(
                    "sessions_busy",
                    f"All {self._size} Spark sessions of this process were in use for {self._wait_seconds:g} s.",
                    "Try again later, or raise SPARK_SESSION_POOL_SIZE.",
                )
            self._start_reaper()
            self._leased += 1
            for pooled in reversed(self._idle):
                if pooled.key == key:
                    self._idle.remove(pooled)
                    return pooled, None
            full = self._leased + len(self._idle) > self._size
            return None, self._idle.pop(0) if full else None

    def _usable(self, pooled: _Pooled, settings: Mapping[str, str]) -> bool:
        if not self._expired(pooled):
            try:
                pooled.session.check()
                pooled.session.prepare(settings)
                return True
            except AutoloaderError as error:
                logger.info("a Spark session is replaced", extra={"code": error.code, "cluster": pooled.session.where})
        self._close(pooled)
        return False

    def _open(self, key: tuple[Target, str], settings: Mapping[str, str]) -> _Pooled:
        from clusters.connect import Session  # not before a process needs it, and never before it forks

        session = Session(key[0])
        self._count("opened")
        try:
            session.prepare(settings)
        except BaseException:
            session.release()
            raise
        now = self._clock()
        return _Pooled(session, key, born_at=now, idle_since=now)

    # ---- back into the pool

    def _quiet(self, pooled: _Pooled) -> bool:
        """After a failure: whether nothing of the lease runs on in the session."""
        try:
            return pooled.session.interrupt_all() == 0
        except Exception:
            return False

    def _give_back(self, pooled: _Pooled, clean: bool) -> None:
        try:
            clean = clean and not self._too_old(pooled) and pooled.session.restore()
        except Exception as error:
            logger.info("a Spark session is given up", extra={"reason": type(error).__name__})
            clean = False
        if not clean:
            self._close(pooled)
        with self._changed:
            self._leased -= 1
            keep = clean and not self._stop.is_set()
            if keep:
                pooled.idle_since = self._clock()
                self._idle.append(pooled)
            self._changed.notify_all()
        if clean and not keep:
            self._close(pooled)

    def _free_slot(self) -> None:
        with self._changed:
            self._leased -= 1
            self._changed.notify_all()

    def _close(self, pooled: _Pooled) -> None:
        pooled.session.release()
        self._count("closed")

    def _count(self, name: str) -> None:
        with self._changed:
            self._counts[name] += 1

    # ---- age

    def _too_old(self, pooled: _Pooled) -> bool:
        return self._clock() - pooled.born_at >= self._max_age_seconds

    def _expired(self, pooled: _Pooled) -> bool:
        return self._too_old(pooled) or self._clock() - pooled.idle_since >= self._idle_seconds

    def _start_reaper(self) -> None:
        if self._reaper is None:
            self._reaper = threading.Thread(target=self._reap, name="spark session reaper", daemon=True)
            self._reaper.start()

    def _reap(self) -> None:
        interval = min(max(self._idle_seconds / 4, 0.05), 15)
        while not self._stop.wait(interval):
            self.sweep()


# ---- this process's own pool

_lock = threading.Lock()
_pool: SessionPool | None = None
_inherited: list[SessionPool | None] = []


def pool() -> SessionPool:
    """This process's pool, made when it is first asked for and closed when the process ends."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = SessionPool(
                size=settings.SPARK_SESSION_POOL_SIZE,
                idle_seconds=settings.SPARK_SESSION_IDLE_SECONDS,
                max_age_seconds=settings.SPARK_SESSION_MAX_AGE_SECONDS,
                wait_seconds=settings.SPARK_SESSION_WAIT_SECONDS,
            )
            # Unlike atexit this also runs at the end of a child that multiprocessing has forked.
            Finalize(None, _pool.close, exitpriority=10)
        return _pool


def _start_anew() -> None:
    """A forked child has neither the parent's connections nor its threads. The parent's pool is kept, not used:
    clearing it away would close connections that are the parent's."""
    global _pool, _lock
    _inherited.append(_pool)
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_start_anew)


def interrupt(target: Target, session_id: str, tag: str) -> None:
    """Ends the operations with this tag in a session that any process, alive or not, has opened. Harmless where there
    are none. Raises ``TransientError`` where the cluster cannot be reached."""
    if not session_id or not tag:
        return
    from clusters import connect

    connect.interrupt(target, session_id, tag)
