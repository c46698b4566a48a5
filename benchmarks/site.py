"""An installation of real processes for the benchmarks: gunicorn, one worker, the scheduler; asked over REST."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from autoloader.lib.processes import dying_with_parent, free_port

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.05


class Site:
    """Started by the constructor, with its data below ``folder`` and the embedded Spark at ``spark_url`` as its
    cluster. ``variables`` are those of its processes' environment that are to differ from a benchmark's usual ones.

    ``processes``: what was started, by name: ``web``, ``worker``, ``scheduler``.
    """

    def __init__(self, folder: Path, spark_url: str, **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AUTOLOADER_", "DATABASE_URL"))},
            "AUTOLOADER_DATA_DIR": str(folder / "data"),
            "AUTOLOADER_ALLOWED_NETWORKS": "127.0.0.0/8",
            "AUTOLOADER_LOG_LEVEL": "WARNING",
            "AUTOLOADER_WORKERS": "1",  # so that each run finds the session warm
            "AUTOLOADER_WEB_WORKERS": "1",
            "PORT": str(self.port),
            "DEBUG": "false",  # else each process keeps its last 9,000 queries, with all that they wrote
            **variables,
        }
        for name in ("files", "static"):  # no page is asked for, so static files need no collecting
            (folder / "data" / name).mkdir(parents=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.manage("migrate", "--verbosity", "0")
        self.manage(
            "shell", "--no-imports", "-c",
            "from django.contrib.auth import get_user_model;"
            "from clusters.embedded_cluster import register_embedded;"
            "get_user_model().objects.create_superuser('bench', password='bench');"
            f"register_embedded({spark_url.rpartition(':')[2]})",
        )  # fmt: skip
        self.token = self.manage("token", "create", "--user", "bench", "--scopes", "write").strip()
        self._start("worker", "manage.py", "run_worker")
        self._start("scheduler", "manage.py", "run_scheduler")
        self._start("web", "-m", "gunicorn", "-c", "python:autoloader.gunicorn_conf", "autoloader.wsgi")
        self._wait()
        self.cluster_id = self.call("GET", "/clusters")[0]["id"]

    def manage(self, *arguments: str, seconds: float = 180, ends: Collection[int] = (0,)) -> str:
        """What a command of the installation printed. RuntimeError where its exit status is none of ``ends``."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode not in ends:
            raise RuntimeError(f"{arguments[0]} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                dying_with_parent([sys.executable, *arguments]),
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self) -> None:
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("gunicorn did not start")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What the installation's database answers; nothing can be changed by it."""
        database = sqlite3.connect(f"file:{self.folder / 'data' / 'autoloader.sqlite3'}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    # ---- REST

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What REST answers. RuntimeError where it refuses, with its words."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            raise RuntimeError(f"{method} {path}: {refused.code} {refused.read().decode()}") from refused

    def create(self, name: str, path: str, credentials: dict[str, Any], kind: str = "json") -> str:
        """The id of a new ingestion of files of a format (``kind``) into ``local.bench.<name>``."""
        return self.described(name, {"type": "s3", "path": path, "credentials": credentials}, {"type": kind})

    def described(
        self,
        name: str,
        source: Mapping[str, Any],
        format_: Mapping[str, Any],
        destination: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> str:
        """The id of a new ingestion into ``local.bench.<name>``, of these parts of a configuration."""
        to = {"catalog": "local", "database": "bench", "table": name, **(destination or {})}
        body = {
            "name": name,
            "cluster_id": self.cluster_id,
            "source": source,
            "format": format_,
            "destination": to,
            "limits": limits or {},
        }
        return str(self.call("POST", "/ingestions", body)["id"])

    def begin(self, ingestion_id: str) -> str:
        """The id of a run that was asked for."""
        return str(self.call("POST", f"/ingestions/{ingestion_id}/run", {})["run_id"])

    def shown(self, ingestion_id: str, run_id: str) -> dict[str, Any]:
        """The run as REST shows it."""
        return dict(self.call("GET", f"/ingestions/{ingestion_id}/runs/{run_id}"))

    def run(self, ingestion_id: str, *, files: int, seconds: float = 600) -> float:
        """Seconds from the POST until the run is seen to have succeeded with so many files."""
        started = time.perf_counter()
        run_id = self.begin(ingestion_id)
        while True:
            run = self.shown(ingestion_id, run_id)
            took = time.perf_counter() - started
            if run["status"] == "success":
                break
            if run["status"] not in ("queued", "running") or took > seconds:
                raise RuntimeError(f"the run ended as {run['status']} after {took:.0f} s: {run['errors']}")
            time.sleep(POLL_SECONDS)
        if run["metrics"]["files_processed"] != files:
            raise RuntimeError(f"{run['metrics']['files_processed']} files were loaded, not {files}")
        return took

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
