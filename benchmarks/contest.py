"""Contenders that take turns: the product over REST and scripts by hand, on one embedded Spark and a fast S3 server."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import by_hand
from benchmarks.s3_server import FastS3
from benchmarks.site import Site
from clusters.embedded import EmbeddedServer, start_server

BUCKET = "bench"


@dataclass(frozen=True)
class Servers:
    folder: Path
    spark: EmbeddedServer
    storage: FastS3
    site: Site

    @property
    def spark_url(self) -> str:
        return self.spark.url


@contextmanager
def started(**variables: str) -> Iterator[Servers]:
    """Spark, S3 and an installation (with these variables in its environment), their data in a temporary folder;
    stopped in the end."""

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autoloader-bench-")))
        spark = start_server(folder / "spark")
        stack.callback(spark.stop)
        storage = FastS3(folder / "s3")
        stack.callback(storage.stop)
        site = Site(folder / "site", spark.url, **variables)
        stack.callback(site.stop)
        yield Servers(folder, spark, storage, site)


class Contest:
    """``seconds``: by contender, one figure a round."""

    def __init__(self, servers: Servers) -> None:
        self.folder, self.storage, self.site = servers.folder, servers.storage, servers.site
        self.client = self.storage.client()
        self.client.create_bucket(Bucket=BUCKET)
        self.spark = by_hand.connect(servers.spark_url, self.storage.credentials())
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def made(self, name: str, prefix: str, kind: str = "json") -> str:
        """The id of a new ingestion of the files below ``prefix`` into ``local.bench.<name>``."""
        return self.site.create(name, f"s3://{BUCKET}/{prefix}", self.storage.credentials(), kind)

    def table(self, name: str, schema: str = by_hand.SCHEMA) -> str:
        """A new empty table for whoever writes by hand."""
        table = f"local.bench.{name}"
        by_hand.create(self.spark, table, schema)
        return table

    def timed(self, what: str, do: Callable[[], object]) -> None:
        started = time.perf_counter()
        do()
        self.seconds[what].append(time.perf_counter() - started)

    def held(self, table: str, rows: int) -> tuple[int, int]:
        """Commits and data files of a table that must hold so many rows."""
        self.spark.sql(f"REFRESH TABLE {table}")
        found = self.spark.table(table).count()
        if found != rows:
            raise RuntimeError(f"{table} holds {found} rows, not {rows}")
        commits = self.spark.sql(f"SELECT 1 FROM {table}.snapshots WHERE summary['added-data-files'] > 0").count()
        return commits, self.spark.sql(f"SELECT 1 FROM {table}.files").count()

    def medians(self) -> dict[str, float]:
        return {what: statistics.median(each) for what, each in self.seconds.items()}
