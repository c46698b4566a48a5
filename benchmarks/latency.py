"""From a file put into the store to its rows in the table, looking every second: a continuous ingestion, and Spark's
own file stream into a table of its own, with the same files and on the same Spark.

``--known N``: so many files were loaded before by both of them. Their names grow by date, as those of a real feed do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from benchmarks import by_hand
from benchmarks.contest import BUCKET, Contest, Servers, started
from benchmarks.report import Line, Report

POLL_SECONDS = 1
LOOK_SECONDS = 0.1
PRODUCT, STREAM = "continuous", "stream"
LIMITS = {0: ("2.5 s", "1.0 s"), 50_000: ("3 s", "1.5 s")}


def _line(number: int) -> bytes:
    return b'{"id": %d, "name": "n", "amount": 1.5, "at": "2026-01-02T03:04:05Z", "active": true}\n' % number


def _key(prefix: str, number: int) -> str:
    return f"{prefix}/2026-01-02T{number // 3600:02}-{number // 60 % 60:02}-{number % 60:02}-{number:06}.json"


class Bench(Contest):
    def __init__(self, servers: Servers, known: int) -> None:
        super().__init__(servers)
        self.number = known
        with ThreadPoolExecutor(8) as pool:
            for prefix in (PRODUCT, STREAM):
                list(pool.map(partial(self.put, prefix), range(known)))
        self.ingestion = self.made(PRODUCT, f"{PRODUCT}/")
        schedule = {"frequency": "continuous", "poll_seconds": POLL_SECONDS}
        self.site.call("PATCH", f"/ingestions/{self.ingestion}", {"schedule": schedule})
        self.site.call("POST", f"/ingestions/{self.ingestion}/activate", {})
        self.query = self._stream(self.table(STREAM))

    def put(self, prefix: str, number: int) -> None:
        self.client.put_object(Bucket=BUCKET, Key=_key(prefix, number), Body=_line(number))

    def _stream(self, table: str) -> Any:
        """A user's own: the checkpoint in the folder of the benchmark, one micro-batch a second."""
        frame = self.spark.readStream.schema(by_hand.SCHEMA).json(f"s3a://{BUCKET}/{STREAM}/")
        stream = frame.writeStream.option("checkpointLocation", str(self.folder / "checkpoint"))
        return stream.trigger(processingTime=f"{POLL_SECONDS} seconds").toTable(table)

    def until(self, table: str, rows: int, seconds: float = 600) -> None:
        limit = time.monotonic() + seconds
        while True:
            try:
                self.spark.sql(f"REFRESH TABLE local.bench.{table}")
                if self.spark.table(f"local.bench.{table}").count() >= rows:
                    return
            except Exception as error:  # the product makes its table with the first file
                if "TABLE_OR_VIEW_NOT_FOUND" not in str(error):
                    raise
            if time.monotonic() > limit:
                raise RuntimeError(f"{table} has no {rows} rows after {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)

    def round(self, *, counted: bool = True) -> None:
        for table in (PRODUCT, STREAM):
            begun = time.perf_counter()
            self.put(table, self.number)
            self.until(table, self.number + 1)
            if counted:
                self.seconds[table].append(time.perf_counter() - begun)
        self.number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--known", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results")
    options = parser.parse_args()
    with started() as servers:
        bench = Bench(servers, options.known)
        try:
            for number in range(options.rounds + 2):
                bench.round(counted=number >= 2)
                time.sleep(0.37)  # so that files do not come in step with the looks
        finally:
            bench.query.stop()
    must, aim = LIMITS.get(options.known, ("", ""))
    lines = []
    for name in (PRODUCT, STREAM):
        figures = sorted(bench.seconds[name])
        middle, late = statistics.median(figures), figures[int(len(figures) * 0.95) - 1]
        limits = {"must": must, "aim": aim} if name == PRODUCT else {}
        lines.append(Line(f"{name}: put to visible, {options.known:,} known", middle, f"p95 {late:.2f} s", **limits))
    Report(options.rounds, lines).finish(keep=options.keep, name="latency")


if __name__ == "__main__":
    main()
