"""What is done to the site. Each fault is a generator that the driver's loop goes on with again and again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg

from autoloader.lib.processes import group_members
from tests.chaos.feeds import Feed, Row
from tests.chaos.plan import Fault
from tests.chaos.points import Armed, Hit
from tests.chaos.site import SCHEDULERS, WORKERS, Site
from tests.chaos.tables import Tables

Steps = Iterator[None]
#: a zombie is woken after this, whether or not anybody has taken its run.
LONGEST_SLEEP_SECONDS = 30.0


class Faults:
    """``foreign``: rows that another writer has appended, by table."""

    def __init__(self, site: Site, feeds: dict[str, Feed], tables: Tables, taken: Callable[[], bool]) -> None:
        self.site = site
        self.feeds = feeds
        self.tables = tables
        self.foreign: dict[str, list[Row]] = {}
        self.hit: Hit | None = None
        #: whether somebody else holds the run that was hit, or it has ended.
        self._taken = taken

    def steps(self, fault: Fault) -> Steps:
        """Waits for the moment, then does it. Ends when everything that was stopped is there again."""
        self.hit = None
        Armed.forget(self.site.signs)
        if fault.armed is None:
            began = time.monotonic()
            while time.monotonic() - began < fault.delay:
                yield
            self.hit = Hit(0, 0, time.time())
        else:
            fault.armed.arm(self.site.signs)
            while self.hit is None:
                self.hit = Hit.read(self.site.signs)
                yield
        match fault.kind:
            case "zombie":
                yield from self._wake(self.hit.pid, fault.seconds)
            case "worker and schedulers":
                for name in SCHEDULERS:
                    self.site.processes[name].kill()
            case "spark":
                yield from self._spark(fault.seconds)
                self.tables.renew()
            case "postgres":
                yield from self._postgres(fault.seconds, "immediate" if fault.draw % 2 else "fast")
            case "connections":
                self._connections()
            case "foreign":
                self._append(self.feeds[fault.target])
            case "some process":
                self._some_process(fault.draw)
        self._go_on()

    def disarm(self) -> bool:
        """Nothing happens any more that has not happened yet; ``False`` where it just has."""
        (self.site.signs / "armed").unlink(missing_ok=True)
        return Hit.read(self.site.signs) is None

    def _go_on(self) -> None:
        (self.site.signs / "go").touch()

    def _pause(self, seconds: float) -> Steps:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield

    def _wake(self, pid: int, seconds: float) -> Steps:
        limit = time.monotonic() + LONGEST_SLEEP_SECONDS
        while not self._taken() and time.monotonic() < limit:
            yield
        yield from self._pause(seconds)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _spark(self, seconds: float) -> Steps:
        self.site.spark.kill()
        self._go_on()
        yield from self._pause(seconds)
        self.site.spark.start(wait_seconds=0)
        while not self.site.spark.answers():
            yield

    def _postgres(self, seconds: float, mode: str) -> Steps:
        self.site.postgres.halt(mode)
        self._go_on()
        yield from self._pause(seconds)
        self.site.postgres.start()

    def _connections(self) -> None:
        with suppress(psycopg.OperationalError):
            self.site.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def _append(self, feed: Feed) -> None:
        rows = self.foreign.setdefault(feed.table, [])
        number = -1 - len(rows)
        row: Row = {"name": f"of others {number}"}
        row |= {"k": number, "rev": number, "gone": False} if "merge_keys" in feed.destination() else {"id": number}
        self.tables.append(feed.table, row)
        rows.append(row)

    def _some_process(self, draw: int) -> None:
        """One of a worker's: its parent, the one that watches the others, the one that takes tasks, the one at work."""
        own = [pid for name in WORKERS for pid in sorted(group_members(self.site.processes[name].pid))]
        own += [self.site.processes[name].pid for name in SCHEDULERS]
        with suppress(ProcessLookupError):
            os.kill(own[draw % len(own)], signal.SIGKILL)
