"""A listing that is only looked at: how many files, how large, how fast they come, and the first of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingestions.engine import config
from ingestions.engine.discovery import Before, discover
from ingestions.engine.ledger import Entry, Known, NewEntry, Revision, State
from ingestions.engine.sources.base import RemoteFile, Source

#: the time back from now in which arriving files are counted.
RECENT = timedelta(days=30)


@dataclass
class Survey:
    """Of files that would be loaded: ``files``, ``bytes``, and those modified in the last 30 days. ``skipped``: reason
    in a word → files. ``first`` are the first of them by name; ``complete``: the listing came to its end.
    """

    listed: int = 0
    files: int = 0
    bytes: int = 0
    recent_files: int = 0
    recent_bytes: int = 0
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    first: list[RemoteFile] = field(default_factory=list)
    hint: str = ""
    complete: bool = True

    def entries(self) -> list[Entry]:
        """The first files as a loader takes them; their ids are their places."""
        return [Entry(place, file, State.DISCOVERED) for place, file in enumerate(self.first)]


class _Eye:
    """The part of a store that discovery writes to; nothing is kept but counts."""

    def __init__(
        self, survey: Survey, keep: int, now: datetime, known: Callable[[Sequence[str]], Mapping[str, Sequence[Known]]]
    ) -> None:
        self._survey = survey
        self._keep = keep
        self._since = now - RECENT
        self._known = known

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        return self._known(addresses)

    def record(self, entries: Sequence[NewEntry]) -> int:
        for entry in entries:
            if entry.state == State.DISCOVERED:
                self._count(entry.file)
            else:
                self._survey.skipped[entry.reason.partition(":")[0]] += 1
        return len(entries)

    def revise(self, revisions: Sequence[Revision]) -> int:
        for each in revisions:
            if each.state == State.DISCOVERED:
                self._count(each.file)
            else:
                self._survey.skipped[each.reason.partition(":")[0]] += 1
        return sum(each.state == State.DISCOVERED for each in revisions)

    def _count(self, file: RemoteFile) -> None:
        seen = self._survey
        seen.files += 1
        seen.bytes += file.size_bytes
        if file.modified_at >= self._since:
            seen.recent_files += 1
            seen.recent_bytes += file.size_bytes
        seen.oldest_at = min(seen.oldest_at or file.modified_at, file.modified_at)
        seen.newest_at = max(seen.newest_at or file.modified_at, file.modified_at)
        if len(seen.first) < self._keep:
            seen.first.append(file)


def survey(
    source: Source,
    wanted: config.Source,
    *,
    overwritten: str,
    now: datetime,
    keep: int,
    known: Callable[[Sequence[str]], Mapping[str, Sequence[Known]]] = lambda _: {},
    start: datetime | None = None,
    before: Before | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Survey:
    """Lists ``source`` by the rules of discovery and records nothing. ``known``: what a ledger has of these addresses.
    ``before`` and ``start`` are those of :func:`~ingestions.engine.discovery.discover`.
    Errors are the source's.
    """
    seen = Survey()
    found = discover(
        source,
        _Eye(seen, keep, now, known),
        wanted,
        overwritten=overwritten,
        now=lambda: now,
        before=before,
        start=start,
        should_stop=should_stop,
    )
    seen.listed, seen.hint, seen.complete = found.listed, found.hint, found.complete
    return seen
