"""What is in the source against what the ledger knows: streamed page by page, in constant memory.

Each object that the pattern means gets a state and, where it is not to be loaded, a reason. Objects that the pattern
does not mean are only counted. All of the source is listed, or what comes after the last names seen (see
:mod:`.incremental`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Protocol

from autoloader.lib.errors import RunStopped
from ingestions.engine import config
from ingestions.engine.abandon import pages
from ingestions.engine.incremental import Choice, Memory, Seen, Walk, choose, rules_of
from ingestions.engine.judge import Judge, Why
from ingestions.engine.ledger import HELD, Cause, Known, ListingEnd, NewEntry, Revision, State
from ingestions.engine.sources.base import RemoteFile, Source
from ingestions.engine.sources.location import locate

PAGE = 1000
#: how often it is told how many objects were seen.
TELL_SECONDS = 1.0
#: how often all of a source is listed although its names grow.
AUDIT = timedelta(hours=24)
#: a file with a temporary name may yet get another one, before it, in so long a time.
_RENAMED_WITHIN = timedelta(days=1)


class Recorder(Protocol):
    """The part of a store that a listing needs."""

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]: ...
    def record(self, entries: Sequence[NewEntry]) -> int: ...
    def revise(self, revisions: Sequence[Revision]) -> int: ...


@dataclass(frozen=True, slots=True)
class Discovered:
    """``listed``: objects seen; ``recorded``: new ledger entries, of which ``skipped`` are not to be loaded;
    ``reopened``: entries that a rule had skipped and that wait now; ``complete``: the listing came to its end.
    ``hint``: what people should know when there is nothing to load. ``end``: how it was done, for the next listing.
    """

    listed: int
    recorded: int
    skipped: int
    hint: str
    complete: bool
    reopened: int = 0
    end: ListingEnd | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What is known when a listing begins: ``memory`` of earlier ones, if any, and how long they may be trusted."""

    memory: Memory | None = None
    audit: timedelta = AUDIT


def discover(
    source: Source,
    store: Recorder,
    source_config: config.Source,
    *,
    overwritten: str = "ignore",
    now: Callable[[], datetime],
    before: Before | None = None,
    start: datetime | None = None,
    page: int = PAGE,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[int], None] = lambda listed: None,
) -> Discovered:
    """Lists ``source`` and records what is new in ``store``, at most ``page`` objects at a time; gives up soon after
    ``should_stop`` says so, however slow the source is (a second call goes on from scratch and records nothing twice).
    ``overwritten``: what becomes of a new version of a file that is loaded already (``ignore``, else it waits).
    ``before`` allows an incremental listing; without it all is listed. ``start``: files modified before it are skipped.
    ``tell`` hears at most once a second how many objects were seen. Errors are the source's.
    """
    task = _Task(source, store, source_config, overwritten, now(), before, start)
    try:
        return task.run(page, should_stop, tell)
    except RunStopped:
        return Discovered(task.judge.tally.listed, 0, 0, "", complete=False)


def survey(
    source: Source,
    source_config: config.Source,
    *,
    now: Callable[[], datetime],
    start: datetime | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[RemoteFile]]:
    """Pages of the files that a ledger which knows none of them would load now; files that are still changing are
    among them. Nothing is recorded. RunStopped where ``should_stop`` says so; errors are the source's.
    """
    settled = source_config.model_copy(update={"settle_seconds": 0, "two_looks": False, "await_marker": None})
    judge = Judge(settled, locate(settled), "append", now(), start=start)
    for objects in pages(source.list(), PAGE, should_stop):
        yield [file for file, why in judge.candidates(objects) if why is None]


class _Task:
    """One listing, and a whole one behind it where an incremental one turns out not to be trusted."""

    def __init__(
        self,
        source: Source,
        store: Recorder,
        source_config: config.Source,
        overwritten: str,
        now: datetime,
        before: Before | None,
        start: datetime | None,
    ) -> None:
        self.source = source
        self.store = store
        self.config = source_config
        self.location = locate(source_config)
        self.now = now
        self.before = before or Before()
        self.rules = rules_of(source_config, start)
        self.choice = Choice("full", "")
        if before is not None:
            self.choice = choose(
                source_config, before.memory, rules=self.rules, overwritten=overwritten, now=now, audit=before.audit
            )
        self.judge = Judge(
            source_config, self.location, overwritten, now, start=start, there=lambda at: source.stat(at) is not None
        )
        self.recorded = self.skipped = self.reopened = 0

    def run(self, page: int, should_stop: Callable[[], bool], tell: Callable[[int], None]) -> Discovered:
        memory = self.before.memory
        if self.choice.mode == "incremental" and memory is not None:
            walk = Walk(self.source, self.location, memory)
            seen = Seen(self.location, memory, memory.layout, self.now)
            self._list(pages(walk.files(), page, should_stop), seen, tell)
            if not walk.doubt:
                return self._ended(seen, whole=False)
            self.choice = Choice("full", f"{walk.doubt}: the whole source is listed")
        seen = Seen(self.location, memory, None, self.now)
        self._list(pages(self.source.list(), page, should_stop), seen, tell)
        return self._ended(seen, whole=True)

    def _ended(self, seen: Seen, *, whole: bool) -> Discovered:
        old, listed = self.before.memory, self.judge.tally.listed
        memory = seen.memory(self.config, self.rules, whole=whole)
        missed = seen.behind if whole and old is not None and old.skipped_over and old.rules == self.rules else 0
        end = ListingEnd(self.choice.mode, self.choice.reason, missed, memory.to_json(), memory.full_at)
        hint = self.judge.hint(self.choice.mode == "incremental")
        return Discovered(listed, self.recorded, self.skipped, hint, True, self.reopened, end)

    def _list(self, listing: Iterator[list[RemoteFile]], seen: Seen, tell: Callable[[int], None]) -> None:
        told = monotonic()
        for objects in listing:
            self._page(objects, seen)
            if monotonic() - told >= TELL_SECONDS:
                tell(self.judge.tally.listed)
                told = monotonic()

    def _page(self, objects: Sequence[RemoteFile], seen: Seen) -> None:
        candidates = self.judge.candidates(objects)
        known = self.store.known([file.address for file, _ in candidates]) if candidates else {}
        new: list[NewEntry] = []
        revised: list[Revision] = []
        held = set()
        for file, why in candidates:
            rows = known.get(file.address, ())
            found = self.judge.entry(file, why, rows)
            if isinstance(found, NewEntry):
                new.append(found)
            elif found is not None:
                revised.append(found)
            if self._waits(file, found, why, rows):
                held.add(file.address)
        if new:
            self.recorded += self.store.record(new)
            self.skipped += sum(entry.state == State.SKIPPED for entry in new)
        if revised:
            self.reopened += self.store.revise(revised)
        fresh = {entry.file.address for entry in new if entry.state == State.DISCOVERED}
        wanted = {file.address for file, why in candidates if why is None or why.cause in HELD}
        seen.page(objects, wanted, held, fresh)

    def _waits(
        self, file: RemoteFile, found: NewEntry | Revision | None, why: Why | None, known: Sequence[Known]
    ) -> bool:
        """Whether a later listing has to show the file again."""
        if why is not None and why.cause == Cause.TEMPORARY:
            return self.now - file.modified_at < _RENAMED_WITHIN
        if found is not None:
            return found.cause in HELD
        return bool(known) and any(row.version == file.version and row.cause in HELD for row in known)
