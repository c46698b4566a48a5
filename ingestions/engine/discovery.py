"""What is in the source against what the ledger knows: streamed page by page, in constant memory.

Each object that the pattern means gets a state and, where it is not to be loaded, a reason. Objects that the pattern
does not mean are only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

from autoloader.lib.errors import RunStopped
from ingestions.engine import config
from ingestions.engine.abandon import pages
from ingestions.engine.ledger import Known, NewEntry, State
from ingestions.engine.sources.base import RemoteFile, Source
from ingestions.engine.sources.location import Location, locate
from ingestions.engine.sources.patterns import select

PAGE = 1000
#: how often it is told how many objects were seen.
TELL_SECONDS = 1.0
#: names that a hint may show.
_SHOWN = 2
#: objects among which a hint looks for what was meant.
_LOOKED_AT = 10_000
#: states of an earlier version whose rows are in the table, or will be. One that still waits is not among them: it can
#: only be read as the later one, which takes its place (``Store.record``); nor one of which no row was well formed.
_TAKEN = frozenset({State.CLAIMED, State.LOADED})


class Recorder(Protocol):
    """The part of a store that a listing needs."""

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]: ...
    def record(self, entries: Sequence[NewEntry]) -> int: ...


@dataclass(frozen=True, slots=True)
class Discovered:
    """``listed``: objects seen; ``recorded``: new ledger entries, of which ``skipped`` are not to be loaded;
    ``complete``: the listing came to its end. ``hint``: what people should know when there is nothing to load.
    """

    listed: int
    recorded: int
    skipped: int
    hint: str
    complete: bool


def discover(
    source: Source,
    store: Recorder,
    source_config: config.Source,
    *,
    overwritten: str = "ignore",
    now: Callable[[], datetime],
    start_after: str | None = None,
    page: int = PAGE,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[int], None] = lambda listed: None,
) -> Discovered:
    """Lists ``source`` and records what is new in ``store``, at most ``page`` objects at a time; gives up soon after
    ``should_stop`` says so, however slow the source is (a second call goes on from scratch and records nothing twice).
    ``overwritten``: what becomes of a new version of a file that is loaded already (``ignore``, else it waits).
    ``tell`` hears at most once a second how many objects were seen. Errors are the source's.
    """
    judge = _Judge(source_config, locate(source_config), overwritten, now())
    try:
        recorded, skipped = _record(judge, pages(source.list(start_after), page, should_stop), store, tell)
    except RunStopped:
        return Discovered(judge.tally.listed, 0, 0, "", complete=False)
    return Discovered(judge.tally.listed, recorded, skipped, judge.hint(), complete=True)


def survey(
    source: Source,
    source_config: config.Source,
    *,
    now: Callable[[], datetime],
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[RemoteFile]]:
    """Pages of the files that a ledger which knows none of them would load now; files that are still changing are
    among them. Nothing is recorded. RunStopped where ``should_stop`` says so; errors are the source's.
    """
    settled = source_config.model_copy(update={"settle_seconds": 0})
    judge = _Judge(settled, locate(settled), "append", now())
    for objects in pages(source.list(), PAGE, should_stop):
        yield [file for file, reason in judge.candidates(objects) if not reason]


def _record(
    judge: _Judge, listing: Iterator[list[RemoteFile]], store: Recorder, tell: Callable[[int], None]
) -> tuple[int, int]:
    """How many entries were recorded, and how many of them to be skipped."""
    recorded = skipped = 0
    told = monotonic()
    for objects in listing:
        candidates = judge.candidates(objects)
        known = store.known([file.address for file, _ in candidates]) if candidates else {}
        entries = [
            entry
            for file, reason in candidates
            if (entry := judge.entry(file, reason, known.get(file.address, ()))) is not None
        ]
        if entries:
            recorded += store.record(entries)
            skipped += sum(entry.state == State.SKIPPED for entry in entries)
        if monotonic() - told >= TELL_SECONDS:
            tell(judge.tally.listed)
            told = monotonic()
    return recorded, skipped


@dataclass(slots=True)
class _Tally:
    """What was seen, for the hint."""

    listed: int = 0
    meant: int = 0
    fresh: int = 0
    unnamable: int = 0
    known: int = 0
    waiting: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    nearly: list[str] = field(default_factory=list)


class _Judge:
    """The rules, applied to one object after the other."""

    def __init__(self, source: config.Source, location: Location, overwritten: str, now: datetime) -> None:
        self._source = source
        self._location = location
        self._append = overwritten != "ignore"
        self._selection = select(location.glob, source.file_pattern, source.exclude_pattern)
        self._after = _aware(source.modified_after)
        self._before = _aware(source.modified_before)
        self._settled = now - timedelta(seconds=source.settle_seconds) if source.settle_seconds else None
        self.tally = _Tally()

    def candidates(self, objects: Sequence[RemoteFile]) -> list[tuple[RemoteFile, str]]:
        """The objects that the pattern means, each with the reason not to load it, or ``""``."""
        tally = self.tally
        found = []
        for file in objects:
            tally.listed += 1
            key = self._location.relative(file.address)
            if not self._selection.matches(key):
                self._remember(key)
                continue
            if "\x00" in file.address:  # no database and no Spark takes such a name
                tally.unnamable += 1
                continue
            tally.meant += 1
            if self._settled is not None and file.modified_at > self._settled:
                tally.fresh += 1
                continue
            found.append((file, self._reason(file, key)))
        return found

    def entry(self, file: RemoteFile, reason: str, known: Sequence[Known]) -> NewEntry | None:
        """``None`` for a version that the ledger has."""
        if any(row.version == file.version for row in known):
            self.tally.known += 1
            return None
        if not reason and not self._append:
            taken = next((row for row in reversed(known) if row.state in _TAKEN), None)
            if taken is not None:
                reason = (
                    f"overwritten: version {taken.version} of this file is {taken.state} already, "
                    f"and later versions are ignored (format.overwritten)"
                )
        if reason:
            self.tally.reasons[reason.partition(":")[0]] += 1
            return NewEntry(file, State.SKIPPED, reason)
        self.tally.waiting += 1
        return NewEntry(file, State.DISCOVERED)

    def _reason(self, file: RemoteFile, key: str) -> str:
        source = self._source
        if self._selection.excludes(key):
            return f"excluded: it matches {source.exclude_pattern}"
        if (part := next(filter(_hidden, key.split("/")), None)) is not None:
            return f"hidden name: Spark leaves out names like {part}"
        if "//" in f"/{key}":
            return "unreadable name: Spark cannot open a key with an empty folder name in it"
        if file.size_bytes == 0:
            return "empty: it holds no byte"
        if source.min_bytes is not None and file.size_bytes < source.min_bytes:
            return f"too small: it holds {file.size_bytes:,} bytes, at least {source.min_bytes:,} are wanted"
        if source.max_bytes is not None and file.size_bytes > source.max_bytes:
            return f"too large: it holds {file.size_bytes:,} bytes, at most {source.max_bytes:,} are wanted"
        if self._after is not None and file.modified_at < self._after:
            return f"too old: it was modified before {self._after.isoformat()}"
        if self._before is not None and file.modified_at >= self._before:
            return f"too new: it was modified at or after {self._before.isoformat()}"
        return ""

    def _remember(self, key: str) -> None:
        """Two names to show, and two that a small change of the pattern would mean; among the first objects only."""
        tally = self.tally
        if len(tally.others) < _SHOWN:
            tally.others.append(key)
        if tally.listed <= _LOOKED_AT and len(tally.nearly) < _SHOWN and self._mistake(key):
            tally.nearly.append(key)

    def _mistake(self, key: str) -> str:
        """What is wrong with the pattern, if this key was meant."""
        if self._selection.matches(key.removesuffix(".gz")):
            return "Files that end with .gz need it in the pattern."
        if self._selection.matches(key.rsplit("/", 1)[-1]):
            return "A pattern with a / starts at the path; put **/ before it to match in any folder."
        if self._selection.matches_any_case(key):
            return "Upper and lower case count."
        return ""

    # ---- the hint

    def hint(self) -> str:
        """What people should know where nothing is to be loaded; a note on files that wait for their time."""
        tally = self.tally
        notes = list(self._notes())
        if not tally.waiting:
            notes.insert(0, self._nothing())
        return " ".join(notes)

    def _nothing(self) -> str:
        tally, place = self.tally, self._location.base
        if not tally.listed:
            return f"Nothing was found in {place}. Check the path, and that files have arrived there."
        if not tally.meant and not tally.unnamable:
            shown = tally.nearly or tally.others
            advice = self._mistake(shown[0]) or "Check the pattern: * stays within a folder, ** does not."
            return (
                f"{_objects(tally.listed)} seen in {place}, but none matches {self._selection.wanted}: there is for "
                f"example {' and '.join(shown)}. {advice}"
            )
        if tally.known and not tally.reasons and not tally.fresh:
            return f"Nothing new in {place}: {_objects(tally.listed)} seen, {tally.known:,} known from earlier runs."
        return f"Nothing to load in {place}: {_objects(tally.listed)} seen."

    def _notes(self) -> Iterator[str]:
        tally = self.tally
        if tally.reasons:
            listed = ", ".join(f"{count:,} {reason}" for reason, count in tally.reasons.most_common())
            yield f"Skipped: {listed}."
        if tally.fresh:
            yield (
                f"{_objects(tally.fresh)} left for the next run, changed less than "
                f"{self._source.settle_seconds:,} s ago (source.settle_seconds)."
            )
        if tally.unnamable:
            yield f"{_objects(tally.unnamable)} left out, with a zero character in the name."


def _hidden(part: str) -> bool:
    """Spark's rule for names that it leaves out silently, applied to folders too."""
    return part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith("._COPYING_")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _objects(count: int) -> str:
    return f"{count:,} object was" if count == 1 else f"{count:,} objects were"
