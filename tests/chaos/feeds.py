"""The feeds: files made out of the seed, and what the tables have to hold of them, without asking the product."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

Row = dict[str, Any]
#: the file (feed and key, empty for rows of others), then each column that has a value.
Line = tuple[Any, ...]
DATABASE = "chaos"
NAMES = ("plain", 'a "quoted" one', "with, a comma", "ünïcödé ✓", "two\nlines", "  spaces  ", "it's")
#: columns that may come later; they are integers until a value needs more.
LATER = tuple(f"c{number}" for number in range(12))
FILES_PER_BATCH = 3


@dataclass(frozen=True)
class File:
    """One version of one file. ``malformed``: lines of it that are no rows."""

    feed: str
    key: str
    rows: tuple[Row, ...]
    body: bytes
    malformed: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.feed}/{self.key}"


def line(path: str, row: Row) -> Line:
    return path, *sorted((name, value) for name, value in row.items() if value is not None)


@dataclass
class Feed:
    """``table`` may be shared. ``files``: all that were put, in this order; the newest version of a key counts last."""

    name: str
    kind: str = "json"
    source: str = "s3"
    table: str = ""
    discovery: str = "auto"
    files: list[File] = field(default_factory=list)
    rows_made: int = 0
    columns: int = 0  # of LATER
    wide: set[str] = field(default_factory=set)
    grown: bool = False  # by the round's files

    def __post_init__(self) -> None:
        self.table = self.table or self.name

    # ---- files

    def make(self, random: Random, number: int) -> list[File]:
        """The files of a round; they count from :meth:`arrived` on."""
        self._grow(random)
        count = random.randint(3, 5)
        if self.discovery == "incremental":  # names that grow
            return [self._file(f"{number * 10 + index:08d}.{self.kind}", random) for index in range(count)]
        return [self._file(f"{number:04d}/part {index}.{self.kind}", random) for index in range(count)]

    def arrived(self, files: list[File]) -> None:
        self.files += files

    def _grow(self, random: Random) -> None:
        before = self.columns, len(self.wide)
        if self.columns < len(LATER) and random.random() < 0.3:
            self.columns += 1
        there = [name for name in LATER[: self.columns] if name not in self.wide]
        if there and random.random() < 0.3:
            self.wide.add(random.choice(there))
        self.grown = bool(self.rows_made) and before != (self.columns, len(self.wide))

    def _file(self, key: str, random: Random) -> File:
        rows = tuple(self._row(random) for _ in range(random.randint(2, 30)))
        return File(self.name, key, rows, self._body(rows, random))

    def _row(self, random: Random) -> Row:
        self.rows_made += 1
        row: Row = {"id": self.rows_made, "name": f"{random.choice(NAMES)} {self.rows_made}"}
        for column in LATER[: self.columns]:
            if random.random() < 0.8:
                row[column] = random.randint(1, 2**30) * (2**20 if column in self.wide else 1)
        return row

    def _body(self, rows: tuple[Row, ...], random: Random) -> bytes:
        if self.kind == "json":
            return "".join(json.dumps(row) + "\n" for row in rows).encode()
        names = sorted({name for row in rows for name in row})
        random.shuffle(names)
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()

    # ---- what has to come of them

    def expected(self) -> Counter[Line]:
        return Counter(line(file.path, row) for file in self.files for row in file.rows)

    def malformed(self) -> Counter[tuple[str, str]]:
        """Lines that have to be in quarantine, by file."""
        return Counter((file.path, text) for file in self.files for text in file.malformed)

    # ---- the product's side

    def config(self, source: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": self.name,
            "cluster_id": "chaos",
            "source": {**source, "discovery": self.discovery},
            "format": {"type": self.kind, **self.format()},
            "destination": {
                "catalog": "local", "database": DATABASE, "table": self.table, **self.destination()
            },
            "limits": {"files_per_batch": FILES_PER_BATCH},
        }  # fmt: skip

    def format(self) -> dict[str, Any]:
        hints = dict.fromkeys(LATER, "int") | {"id": "bigint", "name": "string"}
        return {"schema": {"evolution_mode": "addNewColumnsWithTypeWidening", "hints": hints}}

    def destination(self) -> dict[str, Any]:
        return {}

    #: whether another writer may append to the table: an overwrite would take its rows away.
    foreign = True

    def places(self) -> tuple[str, ...]:
        """Points that not every run comes to, and this round's will."""
        return ("alter", "schema") if self.grown else ()


class Steady(Feed):
    """Its columns stay as they are: into the table of another feed only what fits is loaded."""

    def _grow(self, random: Random) -> None:
        pass


class WithMalformed(Feed):
    """Some lines have more fields than the header; they go to the quarantine table."""

    def _file(self, key: str, random: Random) -> File:
        file = super()._file(key, random)
        bad = tuple(f"{index},too,many,fields,{random.random()}" + ",x" * 20 for index in range(random.randint(0, 2)))
        return File(file.feed, key, file.rows, file.body + "".join(f"{each}\n" for each in bad).encode(), bad)

    def format(self) -> dict[str, Any]:
        return {**super().format(), "bad_rows": "quarantine"}

    def places(self) -> tuple[str, ...]:
        return ("separate", "quarantine", *super().places())


class Overwrite(Feed):
    """The newest round's files are the table."""

    foreign = False

    def arrived(self, files: list[File]) -> None:
        self.files = list(files)

    def destination(self) -> dict[str, Any]:
        return {"write_mode": "overwrite"}


class Replace(Feed):
    """A few names, again and again with other contents and another size."""

    def make(self, random: Random, number: int) -> list[File]:
        self._grow(random)
        keys = random.sample([f"daily {index}.{self.kind}" for index in range(6)], random.randint(3, 5))
        return [self._file(key, random) for key in keys]

    def arrived(self, files: list[File]) -> None:
        new = {file.key for file in files}
        self.files = [file for file in self.files if file.key not in new] + files

    def format(self) -> dict[str, Any]:
        return {**super().format(), "overwritten": "replace"}


class Merge(Feed):
    """One row a key, the one of the highest ``rev``, which is never given twice; some keys are deleted for ever."""

    live: list[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.live = list(range(40))
        self._revs: set[int] = set()
        self._fresh: set[int] = set()

    def make(self, random: Random, number: int) -> list[File]:
        self._round = number
        known, self._fresh = sorted(self._fresh & set(self.live)), set()
        doomed = random.sample(known, min(len(known), random.randint(0, 2)))
        self.live = [key for key in self.live if key not in doomed] + [max(self.live) + 1 + each for each in range(2)]
        files = super().make(random, number)
        if doomed:
            rows = tuple({"k": key, "rev": 10**9 + key, "name": "-", "gone": True} for key in doomed)
            files.append(File(self.name, f"{number:04d}/deletes.{self.kind}", rows, self._body(rows, random)))
        return files

    def _row(self, random: Random) -> Row:
        row = super()._row(random)
        del row["id"]
        rev = self._round * 1000 + random.randint(-1500, 1000)
        while rev in self._revs:
            rev += 1
        self._revs.add(rev)
        key = random.choice(self.live)
        self._fresh.add(key)
        return {"k": key, "rev": rev, "gone": False, **row}

    def expected(self) -> Counter[Line]:
        winners: dict[int, tuple[str, Row]] = {}
        for file in self.files:
            for row in file.rows:
                if row["k"] not in winners or row["rev"] > winners[row["k"]][1]["rev"]:
                    winners[row["k"]] = file.path, row
        return Counter(line(path, row) for path, row in winners.values() if not row["gone"])

    def format(self) -> dict[str, Any]:
        hints = dict.fromkeys(LATER, "int") | {"k": "bigint", "rev": "bigint", "gone": "boolean", "name": "string"}
        return {"schema": {"evolution_mode": "addNewColumnsWithTypeWidening", "hints": hints}}

    def destination(self) -> dict[str, Any]:
        return {"write_mode": "merge", "merge_keys": ["k"], "order_by": "rev", "delete_when": "gone = true"}

    def places(self) -> tuple[str, ...]:
        return ("staging table", *super().places())


def all_feeds() -> dict[str, Feed]:
    feeds = (
        Feed("events", discovery="incremental"),
        Steady("more_events", table="events", discovery="full"),
        WithMalformed("lines", kind="csv", source="local", discovery="incremental"),
        Merge("customers"),
        Overwrite("prices"),
        Replace("daily", kind="csv"),
    )
    return {feed.name: feed for feed in feeds}
