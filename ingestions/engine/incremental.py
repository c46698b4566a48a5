"""Listings that start after the last name seen: when they may be trusted, where they start, and what the next one has
to know. A whole listing (the audit) comes again and again; what it finds behind the place where an incremental one
would have started is counted, and is the reason to believe in the names' order or not.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from ingestions.engine import config
from ingestions.engine.growth import DEEPEST, MOST_FOLDERS, Layout, Name, Sample, find_layout, group_of, newest_day
from ingestions.engine.sources.base import RemoteFile, Source
from ingestions.engine.sources.location import Location

#: writers overtake each other: names of so long before now are listed again, but never more than so many.
STEP_BACK = timedelta(minutes=10)
STEP_BACK_NAMES = 1000
#: ``auto``: a whole listing of fewer objects costs next to nothing.
FEW = 5000
#: ``auto``: files that must have come behind the last seen name before the order is trusted.
PROVEN = 10
#: of recent files at most so many in a hundred may have come before the last seen name.
OUT_OF_ORDER_PERCENT = 1
#: a clock that is set back by more than this makes a whole listing due.
_BACK = timedelta(hours=1)

Mode = Literal["full", "incremental", "audit"]


@dataclass(frozen=True, slots=True)
class Choice:
    """How to list, and why, in a sentence for people."""

    mode: Mode
    reason: str


@dataclass(slots=True)
class Memory:
    """What listings of one source for one destination leave to the next one.

    ``rules``: fingerprint of the settings that decide what is wanted. ``after``: folder → the name, below it, after
    which a listing starts. ``ahead`` and ``behind``: recent files that came after it, and before. ``skipped_over``: an
    incremental listing was done since the last whole one.
    """

    rules: str
    full_at: datetime
    listed: int
    layout: Layout | None
    refusal: str
    after: dict[str, str] = field(default_factory=dict)
    ahead: int = 0
    behind: int = 0
    skipped_over: bool = False

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "full_at": self.full_at.isoformat()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None) -> Memory | None:
        """``None`` for nothing, and for what another version of this program has left."""
        if not kept:
            return None
        try:
            layout = Layout(**kept["layout"]) if kept["layout"] else None
            return cls(**{**kept, "layout": layout, "full_at": datetime.fromisoformat(kept["full_at"])})
        except (KeyError, TypeError, ValueError):
            return None

    def is_behind(self, key: str) -> bool | None:
        """Whether a listing by this memory does not show the name; ``None`` where it knows no start."""
        if self.layout is None:
            return None
        group = self.layout.group(key)
        if group is None:
            return True
        start = self.after.get(group)
        return start is not None and key[len(group) :] <= start


def rules_of(source: config.Source, start: datetime | None) -> str:
    """Fingerprint of what decides which files are wanted: after a change all of them are looked at again."""
    wanted = source.model_dump(
        mode="json",
        exclude={"credentials", "credential_id", "discovery", "lateness_hours", "audit_hours", "after_load"},
    )
    text = json.dumps([wanted, start.isoformat() if start else None], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- choosing


def choose(
    source: config.Source, memory: Memory | None, *, rules: str, overwritten: str, now: datetime, audit: timedelta
) -> Choice:
    """Full, incremental or audit, by what is configured and by what earlier listings have shown."""
    if source.discovery == "full":
        return Choice("full", "the whole source is listed each time, as configured (source.discovery)")
    if source.discovery == "events":
        return Choice("full", "events are not available yet (source.discovery): the whole source is listed")
    if memory is None:
        return Choice("full", "nothing has been listed before")
    if memory.rules != rules:
        return Choice("full", "settings that decide which files are wanted were changed: all are looked at again")
    why = refusal(memory)
    if not why and source.discovery == "auto":
        why = _not_worth_it(memory, overwritten)
    if why:
        wanted = "an incremental listing is wanted, but " if source.discovery == "incremental" else ""
        return Choice("full", f"{wanted}{why}")
    if not memory.full_at - _BACK <= now < memory.full_at + audit:
        return Choice("audit", f"the last whole listing was at {memory.full_at:%Y-%m-%d %H:%M:%S} UTC")
    assert memory.layout is not None
    return Choice("incremental", memory.layout.words)


def refusal(memory: Memory) -> str:
    """Why an incremental listing would miss files, or ``""``."""
    if memory.layout is None:
        return memory.refusal
    in_all = memory.ahead + memory.behind
    if memory.behind * 100 > in_all * OUT_OF_ORDER_PERCENT:
        return f"{memory.behind:,} of {in_all:,} recent files came with names before the last one seen"
    return ""


def _not_worth_it(memory: Memory, overwritten: str) -> str:
    if overwritten != "ignore":
        return "files that are overwritten are loaded again, and only a whole listing shows them"
    if memory.listed < FEW:
        return f"there are few objects ({memory.listed:,}), and a whole listing is sure"
    if memory.ahead < PROVEN:
        return f"too few files ({memory.ahead:,}) have come since the first listing to prove the order of names"
    return ""


# ---- where the next listing starts


class Trail:
    """The names of a listing, as they come, folder by folder: the last one of each that nothing before it waits for.

    A name that was modified less than ``STEP_BACK`` ago is not yet the last one, unless many come behind it.
    """

    def __init__(self, depth: int, cutoff: datetime) -> None:
        self._depth = depth
        self._cutoff = cutoff
        self._group: str | None = None
        self._safe = ""
        self._recent: deque[str] = deque(maxlen=STEP_BACK_NAMES)
        self._blocked = False
        #: folder → name after which the next listing starts.
        self.after: dict[str, str] = {}
        #: folder → the first name that waits.
        self.waits: dict[str, str] = {}
        #: folders seen; no more than are listed one by one are told apart.
        self.folders = 0

    def add(self, file: Name, held: bool) -> bool:
        """``False`` for a name that lies above folders of this depth."""
        group = group_of(file.key, self._depth)
        if group is None:
            return False
        if self.folders <= MOST_FOLDERS:
            self._add(group, file, held)
        return True

    def _add(self, group: str, file: Name, held: bool) -> None:
        if group != self._group:
            self._close()
            self._group, self._safe, self._blocked = group, "", False
            self.folders += 1
        if self._blocked:
            return
        name = file.key[len(group) :]
        if held:
            self._blocked = True
            self.waits[group] = name
            return
        self._recent.append(name)
        if file.modified_at <= self._cutoff:
            self._safe = name

    def _close(self) -> None:
        if self._group is not None:
            far = self._recent[0] if len(self._recent) == STEP_BACK_NAMES else ""
            self.after[self._group] = max(self._safe, far)
        self._recent.clear()

    def close(self) -> None:
        """After the last name."""
        self._close()
        self._group = None


class Seen:
    """What one listing shows of names: fed with every object, in order."""

    def __init__(self, location: Location, memory: Memory | None, layout: Layout | None, now: datetime) -> None:
        """``layout``: of an incremental listing, which has one already."""
        self._location = location
        self._memory = memory
        self._layout = layout
        self._now = now
        self._sample = Sample()
        depths = [layout.depth] if layout else list(range(DEEPEST + 1))
        self._trails = {depth: Trail(depth, now - STEP_BACK) for depth in depths}
        self._newest: datetime | None = None
        self.listed = 0
        self.ahead = self.behind = 0

    def page(self, objects: Sequence[RemoteFile], wanted: set[str], held: set[str], new: set[str]) -> None:
        """Addresses among ``objects`` that no rule skips, that wait, and that are new in the ledger. What is skipped
        has odd names often, and is no place to start from."""
        self.listed += len(objects)
        for file in objects:
            if file.address not in wanted and file.address not in held:
                continue
            name = Name(self._location.relative(file.address), file.modified_at)
            if file.address in wanted:
                self._sample.add(name)
            for trail in self._trails.values():
                if not trail.add(name, file.address in held):
                    break
            if self._newest is None or file.modified_at > self._newest:
                self._newest = file.modified_at
            if file.address in new and self._memory is not None:
                self._compare(name.key)

    def _compare(self, key: str) -> None:
        behind = self._memory.is_behind(key) if self._memory is not None else None
        if behind is not None:
            self.behind += behind
            self.ahead += not behind

    def memory(self, source: config.Source, rules: str, *, whole: bool) -> Memory:
        """For the next listing."""
        lateness = timedelta(hours=source.lateness_hours)
        for trail in self._trails.values():
            trail.close()
        names = self._sample.names()
        old = self._memory
        if not whole:
            assert old is not None
            assert self._layout is not None
            after = {**old.after, **self._starts(self._layout, names, lateness, old.after)}
            kept = (old.full_at, old.listed, self._layout, "")
            return Memory(rules, *kept, after, old.ahead + self.ahead, old.behind, skipped_over=True)
        found = find_layout(names, self._folders(), lateness)
        layout, why = (found, "") if isinstance(found, Layout) else (None, found)
        after = self._starts(layout, names, lateness, {}) if layout else {}
        ahead, behind = self._counts(rules)
        return Memory(rules, self._now, self.listed, layout, why, after, ahead, behind)

    def _counts(self, rules: str) -> tuple[int, int]:
        """Of recent files; what was long ago counts ever less."""
        old = self._memory
        if old is None or old.rules != rules:
            return 0, 0
        return old.ahead // 2 + self.ahead, old.behind // 2 + self.behind

    def _folders(self) -> list[int]:
        return [self._trails[depth].folders for depth in range(DEEPEST + 1)]

    def _starts(
        self, layout: Layout, names: Sequence[Name], lateness: timedelta, old: Mapping[str, str]
    ) -> dict[str, str]:
        trail = self._trails[layout.depth]
        if layout.kind == "names":
            return {group: max(name, old.get(group, "")) for group, name in trail.after.items()}
        latest = min(each for each in (self._now, self._newest, newest_day(layout, names)) if each is not None)
        bound = layout.bound(latest - lateness)
        return {group: min(bound, trail.waits[group][:-1]) if group in trail.waits else bound for group in trail.after}


# ---- listing


class Walk:
    """An incremental listing: each folder from where its next name may come, and new folders whole."""

    def __init__(self, source: Source, location: Location, memory: Memory) -> None:
        assert memory.layout is not None
        self._source = source
        self._base = location.base
        self._layout = memory.layout
        self._after = memory.after
        #: why it cannot be trusted, once it has come to its end.
        self.doubt = ""

    def files(self) -> Iterator[RemoteFile]:
        layout, count = self._layout, 0
        groups = list(self._folders(self._base, layout.depth)) if layout.depth else [""]
        for group in groups:
            start = self._after.get(group, "")
            # the last name itself is listed too: where it is gone, others may be as well, or all was filled anew
            begin = start[:-1] if layout.kind == "names" else start
            there = not start or layout.kind != "names"
            below = f"{self._base}{group}"
            for file in self._source.list(f"{below}{begin}" if begin else None, below=below if group else None):
                there = there or file.address == below + start
                count += 1
                yield file
            if not there:
                self.doubt = f"the last name seen, {group}{start}, is gone"
        if lost := sorted(set(self._after) - set(groups)):
            self.doubt = f"the folder {lost[0]} is gone"
        if not count and not self.doubt:
            self.doubt = "nothing is left where the last files were"

    def _folders(self, below: str, depth: int) -> Iterator[str]:
        for folder in self._source.folders(below):
            if depth == 1:
                yield folder[len(self._base) :]
            else:
                yield from self._folders(folder, depth - 1)
