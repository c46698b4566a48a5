"""Fifty feeds of a soak: formats crossed with what is done with their files, and what each table must hold in the end.

All comes out of counters, so each soak puts the same files in the same order; how far it gets depends on the machine.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

FEEDS = 50
ROWS = 40
#: keys that a merging feed's files draw from.
KEYS = 500
#: files after which one more column arrives in a growing feed, and how many there are at most.
GROWS_EVERY, MOST_NEW = 5, 12
#: which files of a feed are put again as a new version, and which have a malformed row: each so many-th.
AGAIN_EVERY, SPOILED_EVERY = 3, 4

Row = dict[str, Any]
#: what is done with files, and the formats that it is done with.
KINDS = ("json", "csv", "csv.gz", "parquet", "orc", "xml")
MODES = {
    "append": (*KINDS, "txt"),
    "grows": KINDS,
    "replaces": KINDS,
    "merge": KINDS,
    "overwrite": KINDS,
    "spoiled": ("json", "csv", "csv.gz"),
}
_TYPES = {"csv.gz": "csv", "txt": "text"}


@dataclass
class Feed:
    """One ingestion's files. ``waiting``: puts that no ended run has seen; ``current``: key → its ids, those of rows
    that the table is to have."""

    name: str
    kind: str
    mode: str
    id: str = ""
    run: str = ""
    waiting: int = 0
    runs: int = 0
    current: dict[str, list[int]] = field(default_factory=dict)
    #: of an overwriting feed: the keys that have come since its last run.
    fresh: list[str] = field(default_factory=list)
    _puts: int = 0
    _seen: int = 0
    _files: int = 0

    @property
    def prefix(self) -> str:
        return f"{self.name}/"

    # ---- as an ingestion

    def format(self) -> dict[str, Any]:
        given: dict[str, Any] = {"type": _TYPES.get(self.kind, self.kind)}
        if self.mode == "replaces":
            given["overwritten"] = "replace"
        if self.mode == "spoiled":
            given["bad_rows"] = "quarantine"
        return given

    def destination(self) -> dict[str, Any]:
        if self.mode == "merge":
            return {"write_mode": "merge", "merge_keys": ["id"], "order_by": "version"}
        return {"write_mode": "overwrite"} if self.mode == "overwrite" else {}

    # ---- files

    @property
    def takes_files(self) -> bool:
        """What an overwriting run has seen must be known, so nothing arrives while it goes on."""
        return not (self.mode == "overwrite" and self.run)

    def next(self) -> tuple[str, bytes]:
        """Key and content of the file that arrives next."""
        self._puts += 1
        self.waiting += 1
        again = self.mode == "replaces" and self._files > 1 and self._puts % AGAIN_EVERY == 0
        number = self._puts % self._files if again else self._files
        self._files += not again
        key = f"{self.prefix}f{number:06d}.{self.kind}"
        rows = self._rows(number)
        self.current[key] = [row["id"] for row in rows]
        self.fresh.append(key)
        spoiled = self.mode == "spoiled" and self._puts % SPOILED_EVERY == 0
        return key, _written(self.kind, rows, spoiled=spoiled)

    def _rows(self, number: int) -> list[Row]:
        """Of a new version other ones, and as many that its size differs within the same second too."""
        count = ROWS + self._puts % 7
        first = number * (ROWS + 7)
        ids = [(first + at) % KEYS if self.mode == "merge" else first + at for at in range(count)]
        new = min(self._files // GROWS_EVERY, MOST_NEW) if self.mode == "grows" else 0
        return [
            {
                "id": id_,
                "name": f"customer {id_} of {self.name}",
                "amount": round(id_ * 1.37 + self._puts, 2),
                "at": f"2026-01-{id_ % 28 + 1:02d}T{id_ % 24:02d}:30:00Z",
                "version": self._puts,
                **{f"extra_{each}": f"{each} of {id_}" for each in range(1, new + 1)},
            }
            for id_ in ids
        ]

    # ---- runs

    def began(self, run_id: str) -> None:
        self.run, self._seen = run_id, self._puts

    def ended(self, *, loaded: int, whole: bool) -> None:
        """``whole``: the run succeeded. What an overwriting one has not loaded stands beside what comes next."""
        self.run, self.runs = "", self.runs + 1
        self.waiting = self._puts - self._seen
        if self.mode == "overwrite" and whole and loaded:
            self.current = {key: self.current[key] for key in self.fresh}
            self.fresh.clear()

    def expected(self) -> int:
        """Rows of the table, when no file waits."""
        if self.mode == "merge":
            return len(set(itertools.chain.from_iterable(self.current.values())))
        return sum(map(len, self.current.values()))


def feeds(count: int = FEEDS) -> list[Feed]:
    """All pairs of mode and format in turn, again where there are fewer than ``count``; the first few are of all
    modes."""
    pairs = [(mode, kind) for kind in (*KINDS, "txt") for mode, kinds in MODES.items() if kind in kinds]
    taken = itertools.islice(itertools.cycle(pairs), count)
    return [Feed(f"{mode}_{kind.replace('.', '_')}_{at:02d}", kind, mode) for at, (mode, kind) in enumerate(taken, 1)]


# ---- content


def _written(kind: str, rows: Sequence[Row], *, spoiled: bool) -> bytes:
    content = _WRITERS[kind](rows)
    if not spoiled:
        return content
    if kind == "csv.gz":  # a second member: readers of gzip go on with it
        return content + gzip.compress(b"1,one cell too few\n", mtime=0)
    return content + (b"this is no object\n" if kind == "json" else b"1,one cell too few\n")


def _json(rows: Sequence[Row]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[Row]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), written)
    return written.getvalue()


def _orc(rows: Sequence[Row]) -> bytes:
    written = io.BytesIO()
    orc.write_table(pa.Table.from_pylist(list(rows)), written)
    return written.getvalue()


def _xml(rows: Sequence[Row]) -> bytes:
    elements = ("".join(f"<{name}>{value}</{name}>" for name, value in row.items()) for row in rows)
    return f"<rows>{''.join(f'<row>{each}</row>' for each in elements)}</rows>".encode()


_WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "json": _json,
    "csv": _csv,
    "csv.gz": lambda rows: gzip.compress(_csv(rows), mtime=0),
    "parquet": _parquet,
    "orc": _orc,
    "xml": _xml,
    "txt": _json,
}
