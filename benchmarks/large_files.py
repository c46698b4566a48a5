"""Large files: a run of 40 of them into a known table, over REST, against ``benchmarks.by_hand`` into one of its own.

The same rows as JSON lines, as CSV and as Parquet. Servers and turns are those of ``benchmarks.thousand_files``; each
table has loaded a first small file when the 40 arrive.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks import by_hand, shop
from benchmarks.contest import BUCKET, Contest, Servers, started
from benchmarks.report import Line, Report, difference, ratio

FILES, ROWS = 40, 6800
FIRST_ROWS = 100
NAMES = {"json": "JSON", "csv": "CSV", "parquet": "Parquet"}
#: how much longer than by hand a run may take, and is to take.
LIMITS = {"json": ("1.6 ×", "1.2 ×"), "csv": ("1.35 ×", "1.15 ×"), "parquet": ("1.35 ×", "1.15 ×")}


@dataclass(frozen=True)
class Pair:
    """Two tables of one format that hold the first small file; below ``prefix`` the others arrive for ``ingestion``."""

    kind: str
    ingestion: str
    prefix: str
    product: str
    by_hand: str


class Bench(Contest):
    """``counted``: by contender, the data files that each round has added."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers)
        self.sizes = dict.fromkeys(shop.KINDS, 0)
        self.counted: dict[str, list[int]] = defaultdict(list)
        for number in range(FILES):
            for kind, content in shop.files(number, ROWS).items():
                self.sizes[kind] += len(content)
                self.put(f"all/{kind}/{_name(number, kind)}", content)
        for kind, content in shop.files(FILES, FIRST_ROWS).items():
            self.put(f"first/{kind}/{_name(FILES, kind)}", content)

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def arrive(self, folder: str, prefix: str, kind: str, numbers: range) -> None:
        """Copies files of ``all/`` or ``first/`` below another prefix."""

        def one(number: int) -> None:
            name = _name(number, kind)
            source = f"{BUCKET}/{folder}/{kind}/{name}"
            self.client.copy_object(Bucket=BUCKET, Key=f"{prefix}{name}", CopySource=source)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, numbers))

    def grown(self, kind: str, number: int) -> Pair:
        name = f"{kind}_{number}"
        prefix = f"{name}/"
        table = self.table(f"{name}_by_hand", shop.SCHEMA)
        self.arrive("first", prefix, kind, range(FILES, FILES + 1))
        ingestion = self.made(name, prefix, kind)
        self.site.run(ingestion, files=1)
        self.load(kind, "first", table)
        self.arrive("all", prefix, kind, range(FILES))
        return Pair(kind, ingestion, prefix, f"local.bench.{name}", table)

    def load(self, kind: str, folder: str, table: str) -> None:
        by_hand.load_folder(self.spark, f"s3a://{BUCKET}/{folder}/{kind}/", table, kind, shop.SCHEMA)

    # ---- rounds

    def round(self, number: int) -> None:
        pairs = [self.grown(kind, number) for kind in shop.KINDS]
        fresh = self.made(f"fresh_{number}", "all/json/")
        for pair in pairs:
            self.timed(f"{pair.kind} by hand", partial(self.load, pair.kind, "all", pair.by_hand))
            self.seconds[pair.kind].append(self.site.run(pair.ingestion, files=FILES))
        self.seconds["fresh"].append(self.site.run(fresh, files=FILES))
        for pair in pairs:
            self.count(f"{pair.kind} by hand", pair.by_hand, first=True)
            self.count(pair.kind, pair.product, first=True)
            self.clear(pair.prefix)
        self.count("fresh", f"local.bench.fresh_{number}", first=False)

    def count(self, what: str, table: str, *, first: bool) -> None:
        """``first``: the table also holds the first small file, which is a data file of its own."""
        _, files = self.held(table, FILES * ROWS + first * FIRST_ROWS)
        self.counted[what].append(files - first)

    def clear(self, prefix: str) -> None:
        for entry in self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ()):
            self.client.delete_object(Bucket=BUCKET, Key=entry["Key"])

    def measure(self, rounds: int, *, seconds: float) -> int:
        """How many rounds were done: none begins when ``seconds`` are over."""
        limit = time.monotonic() + seconds
        self.round(0)  # it warms up
        self.seconds.clear()
        self.counted.clear()
        done = 0
        for number in range(1, rounds + 1):
            if done and time.monotonic() > limit:
                break
            self.round(number)
            done = number
        return done


def _name(number: int, kind: str) -> str:
    return f"events-{number:03d}.{kind}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60, help="no round begins when these are over")
    parser.add_argument("--keep", action="store_true", help="write the figures below benchmarks/results/")
    options = parser.parse_args()
    with started() as servers:
        bench = Bench(servers)
        done = bench.measure(options.rounds, seconds=options.minutes * 60)
        report(bench, done).finish(keep=options.keep, name="large-files")


def report(bench: Bench, rounds: int) -> Report:
    medians = bench.medians()
    times = partial(ratio, medians)
    lines = []
    for kind, name in NAMES.items():
        size = f"{FILES} files, {bench.sizes[kind] / 1e6:.0f} MB of {name}"
        by_hand_files = f"≤ {min(bench.counted[f'{kind} by hand'])}"
        lines += [
            Line(f"by hand, {size}", medians[f"{kind} by hand"]),
            Line(f"POST to SUCCESS, {size}, known table", medians[kind], times(kind, f"{kind} by hand"), *LIMITS[kind]),
            Line("  … data files", None, str(max(bench.counted[kind])), by_hand_files),
        ]
        if kind == "json":
            told = times("fresh", "json by hand")
            lines += [
                Line(f"POST to SUCCESS, {size}, new table", medians["fresh"], told),
                Line("  … data files", None, str(max(bench.counted["fresh"])), by_hand_files),
            ]
    return Report(rounds, lines, words(medians))


def words(medians: Mapping[str, float]) -> str:
    """What the difference to the script by hand is, and what it buys."""
    apart = partial(difference, medians)
    each = [f"{apart(kind, f'{kind} by hand')} by hand as {name}" for kind, name in NAMES.items()]
    told = (
        f"What the difference buys: a run over {FILES} large files into a known table takes "
        f"{', '.join(each[:-1])} and {each[-1]}; JSON into a new table, whose types are found out, "
        f"{apart('fresh', 'json')} into a known one. The script is told its columns and remembers nothing: started "
        "again it loads everything again, and a value that does not fit its column becomes null without a word, as a "
        "field that has no column is dropped. For the difference a run has a row in the ledger for each file, with "
        "its rows and the snapshot that holds them; a check of each value in the write itself; what does not fit kept "
        "beside its row as the file spells it; new columns added before the rows that need them; and a batch that is "
        "published whole or not at all, once, whatever is killed."
    )
    return textwrap.fill(told, 118)


if __name__ == "__main__":
    main()
