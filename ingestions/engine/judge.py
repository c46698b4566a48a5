"""The rules for one object of a source: whether the pattern means it, and what speaks against loading it now."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingestions.engine import config
from ingestions.engine.ledger import HELD, RECONSIDERED, Cause, Known, NewEntry, Revision, State
from ingestions.engine.sources.base import RemoteFile
from ingestions.engine.sources.location import Location
from ingestions.engine.sources.patterns import select

#: names that a hint may show.
_SHOWN = 2
#: objects among which a hint looks for what was meant.
_LOOKED_AT = 10_000
#: states of an earlier version whose rows are in the table, or will be. One that still waits is not among them: it can
#: only be read as the later one, which takes its place (``Store.record``); nor one of which no row was well formed.
_TAKEN = frozenset({State.CLAIMED, State.LOADED})
#: what writers and copying programs add to a name until the file is whole, and checksums that lie beside files.
TEMPORARY = (
    ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".inprogress", ".in-progress",
    ".writing", ".swp", ".crc", "~",
)  # fmt: skip
#: two looks at a file are at least so far apart.
LOOKS_APART = timedelta(seconds=1)
#: folders of which it is remembered whether their marker is there.
_FOLDERS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Why:
    """What speaks against loading a file."""

    cause: Cause
    reason: str


@dataclass(slots=True)
class Tally:
    """What was seen, for the hint."""

    listed: int = 0
    meant: int = 0
    unnamable: int = 0
    known: int = 0
    waiting: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    held: Counter[Cause] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    nearly: list[str] = field(default_factory=list)


class Judge:
    """The rules, applied to one object after the other. ``start``: files modified before it are not wanted
    (``schedule.start``); ``there``: whether there is an object of this address, asked for markers only.
    """

    def __init__(
        self,
        source: config.Source,
        location: Location,
        overwritten: str,
        now: datetime,
        *,
        start: datetime | None = None,
        there: Callable[[str], bool] = lambda address: True,
    ) -> None:
        self._source = source
        self._location = location
        self._append = overwritten != "ignore"
        self._selection = select(location.glob, source.file_pattern, source.exclude_pattern)
        self._after = _aware(source.modified_after)
        self._before = _aware(source.modified_before)
        self._start = start
        self._now = now
        self._settled = now - timedelta(seconds=source.settle_seconds) if source.settle_seconds else None
        self._temporary = () if source.temporary_names == "load" else _temporary(source.file_pattern or location.glob)
        self._markers = _Markers(source.await_marker, location, there) if source.await_marker else None
        self.tally = Tally()

    def candidates(self, objects: Sequence[RemoteFile]) -> list[tuple[RemoteFile, Why | None]]:
        """The objects that the pattern means, each with what speaks against it."""
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
            found.append((file, self._why(file, key)))
        return found

    def means(self, file: RemoteFile) -> bool:
        """Whether the pattern means the object, and it has a name that can be kept."""
        return self._selection.matches(self._location.relative(file.address)) and "\x00" not in file.address

    def entry(self, file: RemoteFile, why: Why | None, known: Sequence[Known]) -> NewEntry | Revision | None:
        """What the ledger is to be told; ``None`` for a version that it has, and that stays as it is."""
        row = next((each for each in known if each.version == file.version), None)
        if row is not None and not (row.state is State.SKIPPED and row.cause in RECONSIDERED):
            self.tally.known += 1
            return None
        held = row or next((each for each in reversed(known) if _held(each)), None)
        why = why or self._overwritten(known) or self._unfinished(file, row)
        if row is not None and why is not None and why.cause == row.cause:
            self._count(why, known=True)
            return None
        self._count(why)
        state, cause, reason = (State.SKIPPED, why.cause.value, why.reason) if why else (State.DISCOVERED, "", "")
        if held is not None:
            return Revision(held.id, file, state, reason, cause)
        return NewEntry(file, state, reason, cause, first=not known)

    def _count(self, why: Why | None, *, known: bool = False) -> None:
        if why is None:
            self.tally.waiting += 1
        elif why.cause in HELD:
            self.tally.held[why.cause] += 1
        elif known:
            self.tally.known += 1
        else:
            self.tally.reasons[why.reason.partition(":")[0]] += 1

    def _overwritten(self, known: Sequence[Known]) -> Why | None:
        taken = None if self._append else next((row for row in reversed(known) if row.state in _TAKEN), None)
        if taken is None:
            return None
        return Why(
            Cause.OVERWRITTEN,
            f"overwritten: version {taken.version} of this file is {taken.state} already, "
            f"and later versions are ignored (format.overwritten)",
        )

    def _unfinished(self, file: RemoteFile, row: Known | None) -> Why | None:
        """What is only looked at once nothing else speaks against the file, as it takes a request or a second look."""
        if self._markers is not None and not self._markers.found(file.address):
            return Why(
                Cause.UNMARKED,
                f"waits for a marker: there is no {self._source.await_marker} in its folder yet, nor above it "
                "(source.await_marker)",
            )
        if not self._source.two_looks:
            return None
        looked = row is not None and row.cause == Cause.UNSTABLE and row.since is not None
        if looked and row is not None and row.since is not None and self._now - row.since >= LOOKS_APART:
            return None
        return Why(
            Cause.UNSTABLE, "seen once: the next listing has to show it with the same size and time (source.two_looks)"
        )

    def _why(self, file: RemoteFile, key: str) -> Why | None:
        return self._by_name(key) or self._by_size(file.size_bytes) or self._by_time(file.modified_at)

    def _by_name(self, key: str) -> Why | None:
        if self._selection.excludes(key):
            return Why(Cause.EXCLUDED, f"excluded: it matches {self._source.exclude_pattern}")
        if ("_" in key or "." in key) and (part := next(filter(_hidden, key.split("/")), None)) is not None:
            return Why(Cause.HIDDEN, f"hidden name: Spark leaves out names like {part}")
        if "//" in key or key.startswith("/"):
            return Why(Cause.UNREADABLE, "unreadable name: Spark cannot open a key with an empty folder name in it")
        if self._temporary and key.lower().endswith(self._temporary):
            return Why(
                Cause.TEMPORARY,
                "temporary name: files are called so while they are written (source.temporary_names)",
            )
        return None

    def _by_size(self, size: int) -> Why | None:
        source = self._source
        if size == 0:
            return Why(Cause.EMPTY, "empty: it holds no byte")
        if source.min_bytes is not None and size < source.min_bytes:
            return Why(Cause.TOO_SMALL, f"too small: it holds {size:,} bytes, at least {source.min_bytes:,} are wanted")
        if source.max_bytes is not None and size > source.max_bytes:
            return Why(Cause.TOO_LARGE, f"too large: it holds {size:,} bytes, at most {source.max_bytes:,} are wanted")
        return None

    def _by_time(self, modified_at: datetime) -> Why | None:
        if self._after is not None and modified_at < self._after:
            return Why(Cause.TOO_OLD, f"too old: it was modified before {self._after.isoformat()}")
        if self._before is not None and modified_at >= self._before:
            return Why(Cause.TOO_NEW, f"too new: it was modified at or after {self._before.isoformat()}")
        if self._start is not None and modified_at < self._start:
            return Why(
                Cause.BEFORE_START,
                f"before the start: it was modified before {self._start.isoformat()}, from when on files are loaded "
                "(schedule.start); a backfill lets it in",
            )
        if self._settled is not None and modified_at > self._settled:
            return Why(
                Cause.SETTLING,
                f"still fresh: when it was seen it had not rested {self._source.settle_seconds:,} s "
                "(source.settle_seconds)",
            )
        return None

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

    def hint(self, incremental: bool = False) -> str:
        """What people should know where nothing is to be loaded; a note on files that wait for their time.
        ``incremental``: not all of the source was listed."""
        tally = self.tally
        notes = list(self._notes())
        if not tally.waiting:
            nothing = f"Nothing new in {self._location.base} after the last names seen."
            notes.insert(0, nothing if incremental and not tally.reasons else self._nothing())
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
        if tally.known and not tally.reasons and not tally.held:
            return f"Nothing new in {place}: {_objects(tally.listed)} seen, {tally.known:,} known from earlier runs."
        return f"Nothing to load in {place}: {_objects(tally.listed)} seen."

    def _notes(self) -> Iterator[str]:
        tally = self.tally
        if tally.reasons:
            listed = ", ".join(f"{count:,} {reason}" for reason, count in tally.reasons.most_common())
            yield f"Skipped: {listed}."
        for cause, count in sorted(tally.held.items()):
            yield f"{_objects(count)} left for the next run, {_HELD_BECAUSE[cause].format(self._source)}."
        if tally.unnamable:
            yield f"{_objects(tally.unnamable)} left out, with a zero character in the name."


class _Markers:
    """Whether folders have the file in them that says they are whole: their own, or one of those above, down to the
    source's own folder. Few folders are remembered; listings come folder by folder."""

    def __init__(self, name: str, location: Location, there: Callable[[str], bool]) -> None:
        self._name = name
        self._base = location.base
        self._there = there
        self._seen: OrderedDict[str, bool] = OrderedDict()

    def found(self, address: str) -> bool:
        folder = address
        while len(folder) > len(self._base):
            folder = folder[: folder.rstrip("/").rfind("/") + 1]
            if len(folder) >= len(self._base) and self._in(folder):
                return True
        return False

    def _in(self, folder: str) -> bool:
        if folder not in self._seen:
            self._seen[folder] = self._there(folder + self._name)
            if len(self._seen) > _FOLDERS_KEPT:
                self._seen.popitem(last=False)
        return self._seen[folder]


_HELD_BECAUSE = {
    Cause.SETTLING: "changed less than {0.settle_seconds:,} s ago (source.settle_seconds)",
    Cause.UNSTABLE: "seen once and looked at again (source.two_looks)",
    Cause.UNMARKED: "as there is no {0.await_marker} in their folder yet (source.await_marker)",
}


def _held(row: Known) -> bool:
    return row.state is State.SKIPPED and row.cause in HELD


def _temporary(pattern: str | None) -> tuple[str, ...]:
    """Endings of names that are not whole; those that the pattern itself asks for are meant."""
    return tuple(ending for ending in TEMPORARY if not (pattern or "").lower().endswith(ending))


def hidden(key: str) -> bool:
    return any(map(_hidden, key.split("/")))


def _hidden(part: str) -> bool:
    """Spark's rule for names that it leaves out silently, applied to folders too."""
    return part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith("._COPYING_")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _objects(count: int) -> str:
    return f"{count:,} object was" if count == 1 else f"{count:,} objects were"
