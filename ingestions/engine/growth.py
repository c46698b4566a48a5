"""How the names in a source grow: found out from names that were seen, for listings that start after the last of them.

Two ways are known. ``names``: each new name sorts behind those before it (a date and time, a ULID or UUID of version 7,
a counter with leading zeros), so a listing starts after the last one. ``dates``: names begin with a date, and below one
date they come in any order; a listing starts at the oldest date that may still get files. Either may be so in each of
several folders, ``depth`` levels deep (``region=eu/``), whose own names do not grow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

#: levels of folders that are listed one by one, and how many folders in all.
DEEPEST = 3
MOST_FOLDERS = 200
#: of a folder's names so many may be alike in what grows, or be modified against their order.
TOLERATED = 0.02
#: modification times this close say nothing about the order of names.
CLOSE = timedelta(minutes=10)
#: names that are shown in a reason.
_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Name:
    """A name below the source's folder, and when it was modified."""

    key: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Layout:
    """How names grow. ``prefix`` (the characters before the date) and ``date`` (its pattern) are those of ``dates``;
    ``words`` say it to people."""

    depth: int
    kind: Literal["names", "dates"]
    prefix: str = ""
    date: str = ""
    words: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def group(self, key: str) -> str | None:
        """The folder that the name is in, as far as folders are listed one by one; ``None`` for a name above them."""
        return group_of(key, self.depth)

    def bound(self, oldest: datetime) -> str:
        """What names of older dates sort before, below a group."""
        return self.prefix + oldest.astimezone(UTC).strftime(self.date)


def group_of(key: str, depth: int) -> str | None:
    end = -1
    for _ in range(depth):
        end = key.find("/", end + 1)
        if end < 0:
            return None
    return key[: end + 1]


def find_layout(names: Sequence[Name], folders: Sequence[int], lateness: timedelta) -> Layout | str:
    """The layout that ``names`` (in order) allow, else why there is none. ``folders``: how many folders there are that
    many levels deep, by level."""
    if not names:
        return "no name has been seen yet"
    why = ""
    for depth in range(DEEPEST + 1):
        if folders[depth] > MOST_FOLDERS:
            break
        groups = _groups(names, depth)
        if groups is None:
            break
        for find in (_names, _dates):
            found = find(groups, depth, lateness)
            if isinstance(found, Layout):
                return found
            why = why or found
    return why


def _groups(names: Sequence[Name], depth: int) -> list[list[Name]] | None:
    """The names of each folder, without the folder; ``None`` where some lie above folders of this depth."""
    found: dict[str, list[Name]] = {}
    for name in names:
        group = group_of(name.key, depth)
        if group is None:
            return None
        found.setdefault(group, []).append(Name(name.key[len(group) :], name.modified_at))
    return list(found.values())


def _where(depth: int) -> str:
    return "" if not depth else f" in each folder {depth} level{'s' if depth > 1 else ''} deep"


# ---- names that grow

_DIGITS = re.compile(r"\d+(?:[-_T:.Zz/ ]*\d+)*")
_ULID = re.compile(r"(?<![0-9A-Za-z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z])")
_UUID7 = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OLDEST, _NEWEST = datetime(2005, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
#: a number of so many digits is finer than a day.
_FINE = 10


def _names(groups: Sequence[Sequence[Name]], depth: int, lateness: timedelta) -> Layout | str:
    kinds = set()
    for names in groups:
        kind = _kind_of([name.key for name in names])
        if isinstance(kind, _No):
            return kind.why
        if why := _against_order(names, CLOSE):
            return why
        kinds.add(kind)
    words = " or ".join(sorted(kinds))
    return Layout(depth, "names", words=f"names begin with {words}{_where(depth)}, so new ones sort behind the others")


@dataclass(frozen=True, slots=True)
class _No:
    why: str


def _kind_of(keys: Sequence[str]) -> str | _No:
    """What a folder's names (in order) begin with, behind what all of them have in common."""
    same = _common(keys[0], keys[-1])
    for kind, pattern, seconds in _STAMPS:
        match = pattern.search(keys[0])
        if match and match.start() <= same and all(_stamped(key, match.start(), pattern, seconds) for key in keys):
            return kind
    begin = _number(keys[0], same if len(keys) > 1 else 0)
    tokens = [match[0] if (match := _DIGITS.match(key, begin)) else "" for key in keys]
    if not all(tokens):
        odd = [key for key, token in zip(keys, tokens, strict=True) if not token][:_SHOWN]
        return _No(f"names like {' and '.join(odd)} show no date, ULID or counter by which they would grow")
    lengths = {len(token) - len(token.lstrip("0123456789")) for token in tokens}
    if len(lengths) > 1:
        return _No(
            f"the numbers in {keys[0]} and {keys[-1]} are not of one length: without leading zeros 10 sorts before 9"
        )
    digits = min(sum(char.isdigit() for char in token) for token in tokens)
    if digits < _FINE and len(set(tokens)) < len(tokens) * (1 - TOLERATED):
        return _No(f"many names begin with one number, such as {keys[0]}, and go on in any order")
    return "a date or a counter"


def _common(one: str, other: str) -> int:
    """Characters that both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _number(key: str, same: int) -> int:
    """Where the number begins in which names begin to differ (behind ``same`` characters), or the first one."""
    begins = [match.start() for match in _DIGITS.finditer(key)]
    return next((begin for begin in reversed(begins) if begin <= same), begins[0] if begins else 0)


def _stamped(key: str, at: int, pattern: re.Pattern[str], seconds: Callable[[str], float]) -> bool:
    match = pattern.match(key, at)
    return match is not None and _OLDEST <= seconds(match[0]) <= _NEWEST


def _ulid_seconds(text: str) -> float:
    value = 0
    for char in text[:10]:
        value = value * 32 + _CROCKFORD.index(char)
    return value / 1000


def _uuid_seconds(text: str) -> float:
    return int(text[:13].replace("-", ""), 16) / 1000


_STAMPS = (("a ULID", _ULID, _ulid_seconds), ("a UUID of version 7", _UUID7, _uuid_seconds))


def _against_order(names: Sequence[Name], close: timedelta) -> str:
    """Why modification times speak against the names' order, or ``""``: they do not where files were copied at once."""
    back = [(one, other) for one, other in pairwise(names)
            if one.modified_at - other.modified_at > close]  # fmt: skip
    if len(back) <= max(1, (len(names) - 1) * TOLERATED):
        return ""
    one, other = back[0]
    return f"files came against the order of their names: {other.key} was modified before {one.key}"


# ---- dates with names in any order below them

_DATE_PARTS = (
    (r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)", "%Y-%m-%d"),
    (r"(?P<y>20\d\d|19\d\d)(?P<m>\d\d)(?P<d>\d\d)(?!\d)", "%Y%m%d"),
    (r"(?P<y>\d{4})/(?P<m>\d\d)/(?P<d>\d\d)", "%Y/%m/%d"),
    (r"(?P<a>[A-Za-z_]+=)(?P<y>\d{4})/(?P<b>[A-Za-z_]+=)(?P<m>\d\d)/(?P<c>[A-Za-z_]+=)(?P<d>\d\d)", ""),
)
_FORMS = tuple((re.compile(text), date) for text, date in _DATE_PARTS)


def _dates(groups: Sequence[Sequence[Name]], depth: int, lateness: timedelta) -> Layout | str:
    """Below each folder a date comes first, behind the same few characters."""
    every = [name for names in groups for name in names]
    for form, date in _FORMS:
        first = form.search(every[0].key)
        if first is None:
            continue
        prefix = every[0].key[: first.start()]
        if "/" in prefix or any(char.isdigit() for char in prefix):
            continue
        pattern = date or f"{first['a']}%Y/{first['b']}%m/{first['c']}%d"
        days = [_day(form, prefix, pattern, name.key) for name in every]
        if None in days:
            continue
        for names in groups:
            dated = [Name(name.key, name.modified_at) for name in names]
            if why := _against_order(_by_day(dated, form), max(CLOSE, lateness)):
                return why
        return Layout(
            depth,
            "dates",
            prefix,
            pattern,
            f"names begin with a date ({prefix}{pattern}){_where(depth)}, and older dates get no files any more",
        )
    return f"names like {every[0].key} do not begin with a date"


def _day(form: re.Pattern[str], prefix: str, pattern: str, key: str) -> datetime | None:
    """``None`` where no such date stands behind the prefix."""
    match = form.match(key, len(prefix)) if key.startswith(prefix) else None
    if match is None:
        return None
    try:
        day = datetime(int(match["y"]), int(match["m"]), int(match["d"]), tzinfo=UTC)
    except ValueError:
        return None
    return day if match[0] == day.strftime(pattern) else None


def _by_day(names: Sequence[Name], form: re.Pattern[str]) -> list[Name]:
    """The first modified of each day: within one, any order will do."""
    first: dict[str, Name] = {}
    for name in names:
        match = form.search(name.key)
        day = match[0] if match else ""
        if day not in first or name.modified_at < first[day].modified_at:
            first[day] = name
    return list(first.values())


_LAST_DAY = datetime(9999, 12, 30, tzinfo=UTC)


def newest_day(layout: Layout, names: Sequence[Name]) -> datetime | None:
    """The end of the newest date that names begin with."""
    form = next((form for form, date in _FORMS if date == layout.date), _FORMS[-1][0])
    days = [
        day
        for name in names
        if (group := layout.group(name.key)) is not None
        and (day := _day(form, layout.prefix, layout.date, name.key[len(group) :]))
    ]
    return min(max(days), _LAST_DAY) + timedelta(days=1) if days else None


# ---- names to look at


class Sample:
    """Some of the names of a listing of any length, in order: every so many of them, and the last ones whole."""

    KEPT = 2000
    LAST = 500

    def __init__(self) -> None:
        self._every = 1
        self._seen = 0
        self._kept: list[Name] = []
        self._last: list[Name] = []

    def add(self, name: Name) -> None:
        if self._seen % self._every == 0:
            self._kept.append(name)
            if len(self._kept) >= self.KEPT:
                del self._kept[1::2]
                self._every *= 2
        self._seen += 1
        self._last.append(name)
        if len(self._last) >= 2 * self.LAST:
            del self._last[: self.LAST]

    def names(self) -> list[Name]:
        return list(self._merged())

    def _merged(self) -> Iterator[Name]:
        last = self._last[-self.LAST :]
        first = last[0].key if last else ""
        yield from (name for name in self._kept if name.key < first)
        yield from last
