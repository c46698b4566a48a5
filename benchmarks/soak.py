"""A soak: fifty ingestions of many formats and modes over a fast S3 server, for as long as is asked for.

Files keep arriving, runs are started over REST in turn, and the memory of each process is looked at meanwhile. In the
end everything that waits is loaded, the ledger is compared with the tables, and the tables with what was put.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import psutil

from benchmarks.contest import BUCKET, Servers, started
from benchmarks.memory import processes, resident
from benchmarks.report import kept, machine
from benchmarks.soak_feeds import FEEDS, Feed, feeds
from benchmarks.soak_figures import Figures, told

WORKERS = 2
#: runs that are asked for and have not ended: each worker has one in hand, and another one is in the queue for it.
AT_ONCE = 2 * WORKERS
#: files that wait at most, in all feeds.
BACKLOG = 200
LOOK_SECONDS, SAMPLE_SECONDS, LINE_SECONDS = 0.5, 2.0, 30.0
#: for what waits when no more files arrive, and for a run.
DRAIN_SECONDS = 900.0


class Soak:
    """``feeds`` in the order in which they are served."""

    def __init__(self, servers: Servers, say: Callable[[str], None], count: int) -> None:
        self.servers, self.site = servers, servers.site
        self.say = say
        self.figures = Figures()
        self.client = servers.storage.client()
        self.client.create_bucket(Bucket=BUCKET)
        self.feeds = feeds(count)
        self.turns = deque(self.feeds)
        self.arrivals = itertools.cycle(self.feeds)
        self.processes: dict[str, psutil.Process] = {}
        self.since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"

    # ---- what happens

    def make(self) -> None:
        for feed in self.feeds:
            source = {
                "type": "s3",
                "path": f"s3://{BUCKET}/{feed.prefix}",
                "credentials": self.servers.storage.credentials(),
            }
            feed.id = self.site.described(feed.name, source, feed.format(), feed.destination())

    def put(self, feed: Feed) -> None:
        key, content = feed.next()
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def arrive(self) -> None:
        """Files for the next feeds in turn, until enough wait."""
        room = BACKLOG - sum(feed.waiting for feed in self.feeds)
        for feed in itertools.islice(self.arrivals, min(max(room, 0), 20)):
            if feed.takes_files:
                self.put(feed)

    def start(self) -> None:
        """Runs for feeds with waiting files, each in its turn."""
        active = sum(bool(feed.run) for feed in self.feeds)
        for _ in range(len(self.turns)):
            if active >= AT_ONCE:
                return
            feed = self.turns[0]
            self.turns.rotate(-1)
            if feed.waiting and not feed.run:
                feed.began(self.site.begin(feed.id))
                active += 1

    def look(self) -> None:
        """What has become of the runs, and of their batches."""
        for feed in self.feeds:
            if feed.run:
                run = self.site.shown(feed.id, feed.run)
                if run["status"] not in ("queued", "running"):
                    self._ended(feed, run)
        rows = self.site.query(
            "SELECT ended_at, (julianday(ended_at) - julianday(created_at)) * 86400 FROM ingestions_batch "
            f"WHERE state = 'loaded' AND ended_at > '{self.since}' ORDER BY ended_at"
        )
        for at, seconds in rows:
            self.since = str(at)
            self.figures.batches.append(float(seconds))

    def _ended(self, feed: Feed, run: Mapping[str, Any]) -> None:
        metrics, errors, status = run["metrics"], run["errors"], run["status"]
        figures = self.figures
        figures.ended[status] += 1
        figures.files += metrics["files_processed"]
        figures.rows += metrics["records_ingested"]
        figures.errors += [f"{feed.name}, {status}: {line}" for line in told(errors)]
        feed.ended(loaded=metrics["files_processed"], whole=status == "success")

    # ---- stages

    def warm_up(self) -> None:
        """Each feed makes its table, so that what is measured then is what goes on and on."""
        for feed in self.feeds:
            self.put(feed)
        limit = time.monotonic() + DRAIN_SECONDS
        while any(not feed.runs for feed in self.feeds):
            if time.monotonic() > limit:
                raise RuntimeError(f"not each feed was loaded within {DRAIN_SECONDS:.0f} s")
            self._step()
        self.processes = processes(self.site, workers=WORKERS)

    def go_on(self, seconds: float) -> None:
        began = time.monotonic()
        sampled, line = -SAMPLE_SECONDS, LINE_SECONDS
        while (at := time.monotonic() - began) < seconds:
            self.arrive()
            self._step()
            if at - sampled >= SAMPLE_SECONDS:
                sampled = at
                self.figures.sampled(at, self._memory())
            if at >= line:
                line += LINE_SECONDS
                self.processes = processes(self.site, workers=WORKERS)
                self.say(self.figures.line(at, sum(feed.waiting for feed in self.feeds), self._memory()))

    def drain(self) -> None:
        limit = time.monotonic() + DRAIN_SECONDS
        while any(feed.waiting or feed.run for feed in self.feeds):
            if time.monotonic() > limit:
                self.figures.errors.append(f"files still wait {DRAIN_SECONDS:.0f} s after the last one has come")
                return
            self._step()

    def _step(self) -> None:
        self.start()
        time.sleep(LOOK_SECONDS)
        self.look()

    def _memory(self) -> dict[tuple[str, int], float]:
        spark = self.servers.spark.process
        everybody = {**self.processes, **({"spark": psutil.Process(spark.pid)} if spark else {})}
        found = {(role, process.pid): resident(process) for role, process in everybody.items()}
        return {key: mb for key, mb in found.items() if mb is not None}

    # ---- proof

    def verified(self) -> Iterator[str]:
        """What the ledger and the tables, or the tables and what was put, differ in."""
        answer = json.loads(self.site.manage("ledger", "verify", "--json", seconds=1800, ends=(0, 1)))
        found = {each["ingestion_id"]: each for each in answer}
        for feed in self.feeds:
            each = found[feed.id]
            if not each["ok"]:
                yield f"{feed.name}: ledger and table differ: {each}"
            if each["rows_table"] != feed.expected():
                yield f"{feed.name}: {each['rows_table']} rows are in its table, and {feed.expected()} were put"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30, help="from when each feed has made its table")
    parser.add_argument("--feeds", type=int, default=FEEDS)
    parser.add_argument("--keep", action="store_true", help="write what is told below benchmarks/results/")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with started(AUTOLOADER_WORKERS=str(WORKERS)) as servers:
        soak = Soak(servers, say, options.feeds)
        whole = _soaked(soak, options.minutes, say)
    if options.keep:
        kept("\n".join(lines) + "\n", "soak")
    sys.exit(0 if whole else 1)


def _soaked(soak: Soak, minutes: float, say: Callable[[str], None]) -> bool:
    """Whether all that was put is in the tables, and nothing failed."""
    began = time.monotonic()
    soak.make()
    soak.warm_up()
    say(f"{len(soak.feeds)} feeds have made their tables after {time.monotonic() - began:.0f} s")
    soak.figures = Figures(errors=soak.figures.errors)
    soak.go_on(minutes * 60)
    soak.drain()
    differences = list(soak.verified())
    say(f"\n{machine()}, {minutes:g} minutes, {WORKERS} workers, {len(soak.feeds)} feeds\n")
    say(soak.figures.verdict())
    say(f"ledger and tables of all {len(soak.feeds)} feeds: {'agree' if not differences else 'DIFFER'}")
    for difference in differences:
        say(f"  {difference}")
    return not differences and not soak.figures.errors


if __name__ == "__main__":
    main()
