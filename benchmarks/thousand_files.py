"""What the promises cost: runs over REST against ``benchmarks.by_hand``, on one embedded Spark and a fast S3 server.

The product is real: gunicorn takes the POST, a worker process does the run, its end is seen by polling. All contenders
take turns within a round, on warm sessions; figures are medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Mapping
from functools import partial

from benchmarks import by_hand, feed
from benchmarks.contest import BUCKET, Contest, Servers, started
from benchmarks.promises import Promises
from benchmarks.report import Line, Report, difference, ratio

FILES, ROWS = 1000, 100
TINY_FILES, TINY_ROWS = 10_000, 10
ALL, TINY, ONE = "all/", "tiny/", "one/"


class Bench(Contest):
    def __init__(self, servers: Servers) -> None:
        super().__init__(servers)
        feed.put(self.client, BUCKET, ALL, files=FILES, rows=ROWS)
        feed.put(self.client, BUCKET, ONE, files=1, rows=ROWS)
        self.promises = Promises(servers.spark_url, self.storage, f"s3://{BUCKET}/{ALL}")
        self.counted: dict[str, tuple[int, int]] = {}

    def count(self, what: str, table: str, rows: int) -> None:
        self.counted[what] = self.held(table, rows)

    def stream(self, table: str, name: str) -> None:
        """Spark's own file stream, over what is there now."""
        path = f"s3a://{BUCKET}/{ALL}"
        rows = self.spark.readStream.schema(by_hand.SCHEMA).json(path)
        writer = rows.writeStream.format("iceberg").outputMode("append").trigger(availableNow=True)
        writer = writer.option("checkpointLocation", f"file://{self.folder}/checkpoints/{name}")
        writer.toTable(table).awaitTermination()

    # ---- rounds

    def thousand(self, number: int, grown: str) -> None:
        """``grown``: an ingestion that has loaded one file of its prefix already."""
        fresh = self.made(f"fresh_{number}", ALL)
        tables = {kind: self.table(f"{kind}_{number}") for kind in ("folder", "listed", "stream")}
        path = f"s3a://{BUCKET}/{ALL}"
        self.timed("folder", lambda: by_hand.load_folder(self.spark, path, tables["folder"]))
        self.seconds["fresh"].append(self.site.run(fresh, files=FILES))
        self.timed("listed", lambda: by_hand.load_listed(self.spark, self.client, BUCKET, ALL, tables["listed"]))
        self.seconds["grown"].append(self.site.run(grown, files=FILES))
        self.timed("stream", lambda: self.stream(tables["stream"], f"s{number}"))
        for kind, table in tables.items():
            self.count(kind, table, FILES * ROWS)
        self.count("fresh", f"local.bench.fresh_{number}", FILES * ROWS)

    def grown(self, number: int) -> str:
        prefix = f"grown_{number}/"
        feed.put(self.client, BUCKET, prefix, files=1, rows=ROWS, first=FILES)
        ingestion = self.made(f"grown_{number}", prefix)
        self.site.run(ingestion, files=1)
        feed.put(self.client, BUCKET, prefix, files=FILES, rows=ROWS)
        return ingestion

    def small(self, number: int, ingestion: str, table: str) -> None:
        feed.put(self.client, BUCKET, "small/", files=1, rows=ROWS, first=number + 1)
        path = f"s3a://{BUCKET}/small/f{number + 1:06d}.json"
        self.timed("small by hand", lambda: by_hand.load_folder(self.spark, path, table))
        self.seconds["small"].append(self.site.run(ingestion, files=1))

    def staged(self) -> None:
        self.timed("bare", self.promises.bare)
        self.timed("staged", self.promises.kept)

    def tiny(self) -> None:
        table = self.table("tiny_by_hand")
        path = f"s3a://{BUCKET}/{TINY}"
        self.timed("tiny by hand", lambda: by_hand.load_folder(self.spark, path, table))
        self.seconds["tiny"].append(self.site.run(self.made("tiny", TINY), files=TINY_FILES))
        self.count("tiny by hand", table, TINY_FILES * TINY_ROWS)
        self.count("tiny", "local.bench.tiny", TINY_FILES * TINY_ROWS)

    def measure(self, rounds: int, *, tiny: bool, seconds: float) -> int:
        """How many rounds were done: none begins when ``seconds`` are over."""
        limit = time.monotonic() + seconds
        feed.put(self.client, BUCKET, "small/", files=1, rows=ROWS)
        small, table = self.made("small", "small/"), self.table("small_by_hand")
        self.site.run(small, files=1)
        self.thousand(0, self.grown(0))  # these warm up
        self.small(0, small, table)
        self.staged()
        self.seconds.clear()
        done = 0
        for number in range(1, rounds + 1):
            if done and time.monotonic() > limit:
                break
            self.thousand(number, self.grown(number))
            self.small(number, small, table)
            self.staged()
            done = number
        if tiny:
            feed.put(self.client, BUCKET, TINY, files=TINY_FILES, rows=TINY_ROWS)
            self.tiny()
        return done


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60, help="no round begins when these are over")
    parser.add_argument("--no-tiny", action="store_true", help="leave out the 10,000 tiny files")
    parser.add_argument("--keep", action="store_true", help="write the figures below benchmarks/results/")
    options = parser.parse_args()
    with started() as servers:
        bench = Bench(servers)
        done = bench.measure(options.rounds, tiny=not options.no_tiny, seconds=options.minutes * 60)
        report(bench, done).finish(keep=options.keep)
        bench.promises.close()


def report(bench: Bench, rounds: int) -> Report:
    medians = bench.medians()
    times = partial(ratio, medians)

    def more(one: str, other: str) -> str:
        return f"{medians[one] - medians[other]:+.2f} s"

    commits, files = bench.counted["fresh"]
    by_hand_files = max(bench.counted["folder"][1], bench.counted["listed"][1])
    post, thousand = "POST to SUCCESS", f"{FILES:,} files"
    lines = [
        Line(f"by hand, {thousand}, by name", medians["listed"]),
        Line(f"by hand, {thousand}, the folder", medians["folder"]),
        Line(f"{post}, {thousand}, new table", medians["fresh"], times("fresh", "listed"), "1.6 ×", "0.8 ×"),
        Line("  … against the folder by hand", None, times("fresh", "folder")),
        Line(f"{post}, {thousand}, known table", medians["grown"], times("grown", "listed"), "1.6 ×", "0.8 ×"),
        Line("  … against the folder by hand", None, times("grown", "folder")),
        Line("Spark's file stream, the same files", medians["stream"], times("stream", "listed")),
        Line("by hand, one small file", medians["small by hand"]),
        Line(f"{post}, one small file", medians["small"], more("small", "small by hand"), "+1.5 s", "+0.7 s"),
        Line("bare append of the batch", medians["bare"]),
        Line("staged, audited, published", medians["staged"], more("staged", "bare"), "+0.6 s", "+0.3 s"),
        Line("commits a batch", None, str(commits), "1"),
        Line("data files", None, str(files), str(by_hand_files)),
    ]
    if "tiny" in medians:
        tiny = f"{TINY_FILES:,} tiny files"
        lines.append(Line(f"by hand, {tiny}, the folder", medians["tiny by hand"]))
        lines.append(Line(f"{post}, {tiny}", medians["tiny"], times("tiny", "tiny by hand")))
    return Report(rounds, lines, words(medians))


def words(medians: Mapping[str, float]) -> str:
    """What the promises cost, and what they buy."""

    apart = partial(difference, medians)
    told = (
        f"What the promises cost: a run over {FILES:,} files into a known table takes "
        f"{apart('grown', 'listed')} the script that names its files, {apart('grown', 'folder')} the one that reads "
        f"the folder whole and would load it all again the next time, and {apart('grown', 'stream')} Spark's own "
        f"stream; a new table, whose types are found out, {apart('fresh', 'grown')} a known one. Branch, audit and "
        f"publication change a batch by {medians['staged'] - medians['bare']:+.2f} s; the rest goes into the first "
        "bytes of each file, into a check of each value in the write, and into the ledger. That buys what neither "
        "script nor stream has: a row in the ledger for each file, with its rows and the snapshot that holds them; "
        "values that do not fit, and fields that no column takes, kept beside their row, where the others write null "
        "or drop them; new columns added; packed, foreign and pretty-printed files told apart before they are loaded; "
        "a batch that is published whole or not at all, once, whatever is killed. The stream too loads once, by a "
        "checkpoint that answers no question; the script, broken off and started again, loads twice."
    )
    return textwrap.fill(told, 118)


if __name__ == "__main__":
    main()
