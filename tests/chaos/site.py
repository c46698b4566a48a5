"""PostgreSQL, S3, Spark, two workers and two schedulers: real processes, on a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from autoloader.children import end_group
from autoloader.lib.processes import dying_with_parent
from benchmarks.s3_server import FastS3
from clusters.embedded import EmbeddedServer
from tests.chaos.feeds import Feed, File
from tests.chaos.points import FOLDER_VARIABLE
from tests.support.postgres import PostgresServer
from tests.support.s3 import S3Server
from tools.bootstrap import S3_SERVER_PROGRAM

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "chaos"
WORKERS = ("worker 1", "worker 2")
SCHEDULERS = ("scheduler 1", "scheduler 2")
#: the supervisor's first pause before it starts something again.
PAUSE_SECONDS = 0.5


class Store:
    """The S3 server and its one bucket: the fast server where it is built, else the tests' own."""

    def __init__(self, folder: Path) -> None:
        if S3_SERVER_PROGRAM.exists():
            fast = FastS3(folder)
            self._server: FastS3 | S3Server = fast
            self._client = fast.client()
        else:
            own = S3Server()
            self._server = own
            self._client = own.s3
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def credentials(self) -> dict[str, Any]:
        return self._server.credentials()

    def stop(self) -> None:
        self._server.stop()


def _spark(folder: Path) -> EmbeddedServer:
    """Its Java compiles in haste: it is killed long before thoroughness pays."""
    server = EmbeddedServer(folder, Path(os.environ.get("AUTOLOADER_TOOLS_DIR") or ROOT / ".tools").resolve())
    options = "spark.driver.extraJavaOptions"
    server.extra = {options: f"{server.settings()[options]} -XX:TieredStopAtLevel=1"}
    return server.start()


class Site:
    """Servers are started by the constructor, the product's own processes by :meth:`keep`."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.signs = folder / "signs"  # of the points
        self.files = folder / "files"
        for each in (self.signs, self.files):
            each.mkdir(parents=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._down_since: dict[str, float] = {}
        self.postgres = PostgresServer(keeps_commits=True)
        try:
            self.store = Store(folder / "s3")
            self.spark = _spark(folder / "spark")
        except BaseException:
            self.postgres.stop()  # the others end with us
            raise
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AUTOLOADER_", "DATABASE_URL"))},
            "DJANGO_SETTINGS_MODULE": "autoloader.settings",
            "DATABASE_URL": self.postgres.create_database(),
            "AUTOLOADER_DATA_DIR": str(folder / "data"),
            "AUTOLOADER_LOCAL_ROOTS": str(self.files),
            "AUTOLOADER_ALLOWED_NETWORKS": "127.0.0.0/8",
            "AUTOLOADER_WORKERS": "1",
            FOLDER_VARIABLE: str(self.signs),
            **variables,
        }

    # ---- the product's processes

    def keep(self) -> None:
        """Called again and again: starts what does not run, a moment after it ended, as the supervisor does."""
        for name in (*WORKERS, *SCHEDULERS):
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                continue
            since = self._down_since.setdefault(name, time.monotonic() if process else 0.0)
            if time.monotonic() - since >= PAUSE_SECONDS:
                self._start(name)
                del self._down_since[name]

    def _start(self, name: str) -> None:
        command = (
            ["tests.chaos.worker", "run_worker"] if name in WORKERS else ["manage", "run_scheduler", "--tick", "0.5"]
        )
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                dying_with_parent([sys.executable, "-m", *command]),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    # ---- files

    def source(self, feed: Feed) -> dict[str, Any]:
        """The source of an ingestion of this feed."""
        if feed.source == "local":
            (self.files / feed.name).mkdir()
            return {"type": "local", "path": str(self.files / feed.name)}
        return {"type": "s3", "path": f"s3://{BUCKET}/{feed.name}/", "credentials": self.store.credentials()}

    def prefix(self, feed: Feed) -> str:
        """What the ledger's address of a file has before the file's key."""
        return f"file://{self.files / feed.name}/" if feed.source == "local" else f"s3://{BUCKET}/{feed.name}/"

    def put(self, feed: Feed, file: File) -> None:
        if feed.source == "s3":
            self.store.put(f"{feed.name}/{file.key}", file.body)
            return
        path = self.files / feed.name / file.key
        path.parent.mkdir(exist_ok=True)
        part = self.folder / "part"
        part.write_bytes(file.body)
        part.replace(path)

    # ---- the database, asked past Django

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows. ``psycopg.OperationalError`` while the database is away."""
        url = self.environment["DATABASE_URL"].replace("postgres://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as open_:
            return open_.execute(sql.encode(), values or None).fetchall()

    def stop(self) -> None:
        for process in self.processes.values():
            end_group(process.pid)  # also of those whose first process has ended
            process.wait()
        self.spark.stop()
        self.store.stop()
        with suppress(RuntimeError):  # it may be away, by a fault that was not over
            self.postgres.stop()
