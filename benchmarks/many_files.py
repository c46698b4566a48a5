"""How much memory does a worker need for a run of 100,000 new files?

They are tiny CSV files in one folder of this machine, loaded by one run that is started over REST. The worker's
resident memory is looked at five times a second, and compared with that of the same worker while it waits for work:
before its first run, and after a run of one file, which has loaded the Spark client.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import Peaks, idle, processes
from benchmarks.report import Line, Report
from benchmarks.site import Site
from clusters.embedded import start_server

FILES, PER_BATCH = 100_000, 10_000
MUST_MB, AIM_MB = 150, 60
LOOK_SECONDS = 0.2
#: what a phase says of how much is done, and to what.
_FIGURES = re.compile(r"^batch \d+: |(?: of)?:? [\d,]+ .*$")


@dataclass
class Measured:
    """MB of the worker and seconds. ``peaks``: what the run did → MB; ``discovery``: seconds until all were listed."""

    files: int
    per_batch: int
    cold: float
    warm: float
    peaks: dict[str, float]
    afterwards: float
    discovery: float
    seconds: float

    @property
    def listing(self) -> float:
        return max((peak for step, peak in self.peaks.items() if step.startswith("listing")), default=0.0)

    @property
    def peak(self) -> float:
        return max(self.peaks.values())


def write(folder: Path, files: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        (folder / f"f{number:06d}.csv").write_text(f"id,name\n{number},a\n")


def measure(site: Site, files: int, per_batch: int) -> Measured:
    """Of the first runs of an installation."""
    (worker,) = (process for role, process in processes(site).items() if role.startswith("worker "))
    cold = idle(worker)
    place = site.folder / "data" / "files"
    made = {}
    for name, count in (("one", 1), ("many", files)):
        write(place / name, count)
        source = {"type": "local", "path": str(place / name)}
        made[name] = site.described(name, source, {"type": "csv"}, limits={"files_per_batch": per_batch})
    site.run(made["one"], files=1)
    warm = idle(worker)
    run = _Run(site, made["many"])
    with Peaks(worker, run.step, LOOK_SECONDS) as seen:
        run.to_end(files)
    return Measured(files, per_batch, cold, warm, seen.peaks, idle(worker), run.discovery, run.seconds)


class _Run:
    """``discovery`` and ``seconds``: since it was asked for, until all was listed and until its end."""

    def __init__(self, site: Site, ingestion_id: str) -> None:
        self._site = site
        self._ingestion = ingestion_id
        self._phase = "waiting"
        self._started = time.perf_counter()
        self.discovery = self.seconds = 0.0
        self._id = site.begin(ingestion_id)

    def step(self) -> str:
        return _FIGURES.sub("", self._phase)

    def to_end(self, files: int) -> None:
        """RuntimeError unless it succeeds with so many files."""
        while True:
            run = self._site.shown(self._ingestion, self._id)
            progress = run["progress"]
            self._phase = progress["phase"] or "waiting"
            self.seconds = time.perf_counter() - self._started
            if not self.discovery and progress["files_total"]:
                self.discovery = self.seconds
            if run["status"] not in ("queued", "running"):
                break
            time.sleep(LOOK_SECONDS)
        if run["status"] != "success" or run["metrics"]["files_processed"] != files:
            raise RuntimeError(f"the run ended as {run['status']}: {run['metrics']} {run['errors']}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--per-batch", type=int, default=PER_BATCH)
    parser.add_argument("--keep", action="store_true", help="write the figures below benchmarks/results/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoloader-bench-") as name:
        spark = start_server(Path(name) / "spark")
        try:
            site = Site(Path(name) / "site", spark.url)
            try:
                measured = measure(site, options.files, options.per_batch)
            finally:
                site.stop()
        finally:
            spark.stop()
    report(measured).finish(keep=options.keep, name="many-files")


def report(measured: Measured) -> Report:
    def mb(value: float) -> str:
        return f"{value:.0f} MB"

    above = [
        Line("peak above the idle worker, before its first run", None, mb(measured.peak - measured.cold)),
        Line(
            "peak above the idle worker, after a run of one file",
            None,
            mb(measured.peak - measured.warm),
            mb(MUST_MB),
            mb(AIM_MB),
        ),
        Line("  … while listing", None, mb(measured.listing - measured.warm)),
    ]
    lines = [
        Line(f"{measured.files:,} files until all are listed", measured.discovery),
        Line(f"  … until they are loaded, {measured.per_batch:,} a batch", measured.seconds),
        Line("idle worker, before its first run", None, mb(measured.cold)),
        Line("idle worker, after a run of one file", None, mb(measured.warm)),
        *(Line(f"peak while {step}", None, mb(peak)) for step, peak in measured.peaks.items()),
        Line("idle worker, afterwards", None, mb(measured.afterwards)),
        *above,
    ]
    return Report(1, lines)


if __name__ == "__main__":
    main()
