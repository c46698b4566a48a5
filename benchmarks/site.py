"""An installation of real processes for the benchmarks: gunicorn, one worker, the scheduler; asked over REST."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from autoloader.lib.processes import dying_with_parent, free_port

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.05


class Site:
    """Started by the constructor, with its data below ``folder`` and ``spark_url`` as its cluster."""

    def __init__(self, folder: Path, spark_url: str) -> None:
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
            "DEBUG": "true",  # static files need no collecting; no query is kept, no page is asked for
        }
        (folder / "data" / "files").mkdir(parents=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._manage("migrate", "--verbosity", "0")
        self._manage(
            "shell", "--no-imports", "-c",
            "from django.contrib.auth import get_user_model;"
            "get_user_model().objects.create_superuser('bench', password='bench')",
        )  # fmt: skip
        self.token = self._manage("token", "create", "--user", "bench", "--scopes", "write").strip()
        self._start("worker", "manage.py", "run_worker")
        self._start("scheduler", "manage.py", "run_scheduler")
        self._start("web", "-m", "gunicorn", "-c", "python:autoloader.gunicorn_conf", "autoloader.wsgi")
        self._wait()
        body = {"name": "bench", "spark_connect_url": spark_url, "default_catalog": "local"}
        self.cluster_id = self.call("POST", "/clusters", body)["id"]

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                dying_with_parent([sys.executable, *arguments]),
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait(self) -> None:
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("gunicorn did not start")

    # ---- REST

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def create(self, name: str, path: str, credentials: dict[str, Any], kind: str = "json") -> str:
        """The id of a new ingestion of files of a format (``kind``) into ``local.bench.<name>``."""
        body = {
            "name": name,
            "cluster_id": self.cluster_id,
            "source": {"type": "s3", "path": path, "credentials": credentials},
            "format": {"type": kind},
            "destination": {"catalog": "local", "database": "bench", "table": name},
        }
        return str(self.call("POST", "/ingestions", body)["id"])

    def run(self, ingestion_id: str, *, files: int, seconds: float = 600) -> float:
        """Seconds from the POST until the run is seen to have succeeded with so many files."""
        started = time.perf_counter()
        run_id = self.call("POST", f"/ingestions/{ingestion_id}/run", {})["run_id"]
        while True:
            run = self.call("GET", f"/ingestions/{ingestion_id}/runs/{run_id}")
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
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
