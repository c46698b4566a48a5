"""What does it cost to find new files where a million are known, and to keep a million in the ledger?

* a whole listing of known keys, through source, rules and ledger, against bare ``list_objects_v2`` paging, and the
  memory of the process that does it;
* ten new keys among all the known ones (incremental) against ten among none: until the run knows what to load;
* putting the files into the ledger, and its first page in the browser: plain, by state, by name.

The listing server is a process of its own (``listing_server``). ``--database postgres`` starts a server of PostgreSQL,
else it is SQLite.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
from botocore.config import Config

from autoloader.lib.processes import dying_with_parent, free_port
from benchmarks import listing_server
from benchmarks.memory import MB
from benchmarks.report import Line, Report

if TYPE_CHECKING:  # Django is set up first
    from ingestions.engine.discovery import Discovered
    from ingestions.models import Ingestion

KEYS, NEW, ROUNDS = 1_000_000, 10, 3
PAGES_LOOKED_AT = 50
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Keys:
    """The listing server's process."""

    def __init__(self, count: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "benchmarks.listing_server", str(self.port), str(count)]
        self._process = subprocess.Popen(dying_with_parent(command), stdin=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError):
                self.set(count)
                return
            time.sleep(0.05)
        raise RuntimeError("the listing server did not start")

    def set(self, count: int) -> None:
        request = urllib.request.Request(f"{self.url}/keys?count={count}", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=5).read()

    def credentials(self) -> dict[str, Any]:
        return {
            "aws_access_key_id": "bench", "aws_secret_access_key": "bench", "endpoint_url": self.url,
            "region_name": "us-east-1", "path_style": True,
        }  # fmt: skip

    def bare(self) -> float:
        """Seconds of paging through all keys with the SDK alone."""
        client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="bench",
            aws_secret_access_key="bench", config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip
        started = time.perf_counter()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=listing_server.BUCKET, Prefix="in/")
        count = sum(len(page["Contents"]) for page in pages)
        seconds = time.perf_counter() - started
        assert count > 0
        return seconds

    def page(self) -> float:
        """Seconds that the server takes for a page, its transport included."""
        spans = []
        for number in range(PAGES_LOOKED_AT):
            started = time.perf_counter()
            urllib.request.urlopen(f"{self.url}/bench?list-type=2&continuation-token={number * 1000}").read()
            spans.append(time.perf_counter() - started)
        return statistics.median(spans)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def prepare(folder: Path, database: str) -> None:
    """An installation of its own, and Django over it."""
    os.environ["AUTOLOADER_DATA_DIR"] = str(folder / "data")
    os.environ["AUTOLOADER_LOG_LEVEL"] = "ERROR"
    os.environ["AUTOLOADER_ALLOWED_NETWORKS"] = "127.0.0.0/8"
    os.environ["ALLOWED_HOSTS"] = "testserver"
    if database:
        os.environ["DATABASE_URL"] = database
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autoloader.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


class Bench:
    """One ingestion of the bucket."""

    def __init__(self, keys: Keys) -> None:
        from django.contrib.auth import get_user_model

        from clusters.models import Cluster

        self.keys = keys
        self.owner = get_user_model().objects.create_superuser("bench", password="bench")
        self.cluster = Cluster.objects.create(
            name="c", url="sc://127.0.0.1:1", price_dbu_hour=0.4, price_storage_gb_month=0.023
        )

    def made(self, name: str, discovery: str) -> Ingestion:
        from ingestions.services.ingestions import ingestion_create

        source = {
            "type": "s3", "path": "s3://bench/in/", "credentials": self.keys.credentials(), "discovery": discovery,
        }  # fmt: skip
        body = {
            "name": name,
            "cluster_id": str(self.cluster.pk),
            "source": source,
            "format": {"type": "csv"},
            "destination": {"catalog": "c", "database": "d", "table": name},
        }
        return ingestion_create(owner=self.owner, config=body)[0]

    def listing(self, ingestion: Ingestion) -> tuple[float, Discovered]:
        """Seconds of a run until it knows what there is to load."""
        from django.utils import timezone

        from ingestions.engine.discovery import Before, discover
        from ingestions.engine.incremental import Memory
        from ingestions.models import Run
        from ingestions.services.lease import claim
        from ingestions.services.source import source_of
        from ingestions.services.store import OrmStore

        run = claim(run_id=str(Run.objects.create(ingestion=ingestion).pk))
        assert run is not None
        config = ingestion.configuration()
        started = time.perf_counter()
        store = OrmStore(run, destination_key=config.destination.key)
        source = source_of(run.ingestion, config)
        before = Before(Memory.from_json(store.listing_memory()))
        found = discover(source, store, config.source, now=timezone.now, before=before, tell=store.listing)
        store.finish_discovery(listed=found.listed, hint=found.hint, end=found.end)
        seconds = time.perf_counter() - started
        source.close()
        Run.objects.filter(pk=run.pk).update(status="success", lease_token="", lease_expires_at=None)
        return seconds, found

    def insert(self, ingestion: Ingestion, count: int) -> float:
        """Seconds of putting so many files into the ledger, a page of a listing at a time."""
        from ingestions.engine.discovery import PAGE
        from ingestions.engine.ledger import NewEntry, State
        from ingestions.engine.sources.base import RemoteFile
        from ingestions.models import LedgerEntry, Run
        from ingestions.services.lease import claim
        from ingestions.services.store import OrmStore

        run = claim(run_id=str(Run.objects.create(ingestion=ingestion).pk))
        assert run is not None
        store = OrmStore(run, destination_key=ingestion.destination_key)
        seconds = 0.0
        for first in range(0, count, PAGE):
            entries = [
                NewEntry(
                    RemoteFile(f"s3://bench/{listing_server.key(number)}", listing_server.etag(number), 100, AT),
                    State.DISCOVERED,
                    first=True,
                )
                for number in range(first, min(first + PAGE, count))
            ]
            started = time.perf_counter()
            store.record(entries)
            seconds += time.perf_counter() - started
        Run.objects.filter(pk=run.pk).update(status="success", lease_token="", lease_expires_at=None)
        LedgerEntry.objects.filter(ingestion=ingestion).update(state=State.LOADED)
        return seconds

    def page(self, ingestion: Ingestion, query: str) -> float:
        from django.test import Client

        browser = Client()
        browser.force_login(self.owner)
        address = f"/ingestions/{ingestion.pk}/files/{query}"
        assert browser.get(address).status_code == 200
        return _median(lambda: browser.get(address), 5)


def _median(work: Callable[[], object], rounds: int) -> float:
    spans = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        spans.append(time.perf_counter() - started)
    return statistics.median(spans)


class Peak:
    """``mb``: the most memory this process had while in the context, above what it had at its beginning."""

    def __enter__(self) -> Peak:
        import threading

        self._process = psutil.Process()
        self._idle = self.mb = self._process.memory_info().rss / MB
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.mb = max(self.mb, self._process.memory_info().rss / MB)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.mb -= self._idle


def measure(keys: Keys, count: int, rounds: int) -> list[Line]:
    bench = Bench(keys)
    many = bench.made("many", "incremental")
    inserted = bench.insert(many, count)
    lines = [
        Line(f"ledger insert of {count:,} files", inserted, f"{count / inserted:,.0f}/s", "10,000", "40,000"),
        Line("a page of the listing server", keys.page(), "", "5 ms", ""),
    ]
    bare, full = [], []
    with Peak() as peak:
        for _ in range(rounds):
            bare.append(keys.bare())
            _forget(many)
            seconds, found = bench.listing(many)
            assert (found.listed, found.recorded) == (count, 0)
            full.append(seconds)
    paging, whole = statistics.median(bare), statistics.median(full)
    lines += [
        Line("bare list_objects_v2 paging", paging),
        Line(f"whole listing of {count:,} known keys", whole, f"{whole / paging:.2f} ×", "1.5 ×", "1.15 ×"),
        Line("memory above idle during both", None, f"{peak.mb:.0f} MB", "150 MB", "60 MB"),
    ]
    lines += _new(bench, many, keys, count, rounds)
    pages = (("first page", ""), ("by state", "?state=LOADED"), ("by name", f"?q=orders-{count // 2:07d}"))
    for what, query in pages:
        span = bench.page(many, query)
        lines.append(Line(f"ledger page: {what}", span, f"{span * 1000:.0f} ms", "300 ms", "100 ms"))
    return lines


def _forget(ingestion: Ingestion) -> None:
    """So that the next listing is a whole one."""
    from ingestions.models import Listing

    Listing.objects.filter(ingestion=ingestion).delete()


def _new(bench: Bench, many: Ingestion, keys: Keys, count: int, rounds: int) -> Iterator[Line]:
    among_many, among_none = [], []
    for number in range(1, rounds + 1):
        keys.set(count + number * NEW)
        seconds, found = bench.listing(many)
        assert found.end is not None
        assert (found.recorded, found.end.mode) == (NEW, "incremental")
        among_many.append(seconds)
        keys.set(NEW)
        seconds, found = bench.listing(bench.made(f"none_{number}", "full"))
        assert found.recorded == NEW
        among_none.append(seconds)
    known, none = statistics.median(among_many), statistics.median(among_none)
    yield Line("ten new among none, until known", none)
    yield Line(f"ten new among {count:,}, until known", known, f"{known - none:+.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        url = ""
        if given.database == "postgres":
            from tests.support.postgres import PostgresServer

            server = PostgresServer(keeps_commits=True)
            stack.callback(server.stop)
            url = server.create_database()
        prepare(Path(name), url)
        keys = Keys(given.keys)
        stack.callback(keys.stop)
        lines = measure(keys, given.keys, given.rounds)
        words = (
            f"On {given.database}. Ten new files: until the run knows them; what it takes to load them is not in it."
        )
        Report(given.rounds, lines, words).finish(keep=given.keep, name=f"discovery-{given.database}")


if __name__ == "__main__":
    main()
