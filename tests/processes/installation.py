"""A whole installation of real processes on a data folder of its own: scheduler, workers, and commands beside them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from autoloader.lib.processes import free_port, port_is_free

ROOT = Path(__file__).resolve().parents[2]


class Installation:
    def __init__(self, folder: Path, spark_url: str, **variables: str) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AUTOLOADER_", "DATABASE_URL"))},
            "AUTOLOADER_DATA_DIR": str(folder / "data"),
            "AUTOLOADER_LOCAL_ROOTS": str(self.files),
            "AUTOLOADER_TOOLS_DIR": os.environ.get("AUTOLOADER_TOOLS_DIR", str(ROOT / ".tools")),
            "AUTOLOADER_WORKERS": "1",
            **variables,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.manage("migrate", "--verbosity", "0")
        self.python(
            "from django.contrib.auth import get_user_model; from clusters.models import Cluster;"
            "get_user_model().objects.create_superuser('admin', password='x');"
            f"Cluster.objects.create(name='test', url={spark_url!r}, is_embedded=True, price_dbu_hour=0.4,"
            " price_storage_gb_month=0.02, default_catalog='local')"
        )

    def python(self, code: str) -> str:
        """What a piece of code printed, run by a process of the installation."""
        return self.manage("shell", "--no-imports", "-c", code).stdout

    def create(self, config: dict[str, Any]) -> str:
        """The id of a new ingestion of the administrator's."""
        code = (
            "from django.contrib.auth import get_user_model as users;"
            "from ingestions.services.ingestions import ingestion_create as create;"
            f"print('id=' + str(create(owner=users().objects.get(), config={config!r})[0].pk))"
        )
        return self.python(code).rsplit("id=", 1)[1].strip()

    def run(self, ingestion_id: str) -> str:
        """Puts a run into the queue and returns its id; the workers do the work."""
        code = (
            "from ingestions.models import Ingestion;"
            "from ingestions.services.runs import run_start as start;"
            f"print('id=' + str(start(ingestion=Ingestion.objects.get(pk={ingestion_id!r})).pk))"
        )
        return self.python(code).rsplit("id=", 1)[1].strip()

    def verified(self, ingestion_id: str) -> dict[str, Any]:
        """The ledger against the table."""
        code = (
            "import json;from ingestions.models import Ingestion;"
            "from ingestions.services.ledger import ledger_verify as verify;"
            f"print('json=' + json.dumps(verify(ingestion=Ingestion.objects.get(pk={ingestion_id!r})).to_json()))"
        )
        found: dict[str, Any] = json.loads(self.python(code).rsplit("json=", 1)[1])
        return found

    def manage(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "manage.py"), *args]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=180)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, name: str, *args: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *args]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.env, stdout=log, stderr=log, start_new_session=True, stdin=subprocess.DEVNULL
            )

    def start_all(self) -> None:
        self.start("scheduler", "run_scheduler", "--tick", "0.5")
        self.start("worker", "run_worker")

    def kill(self, name: str) -> None:
        """``kill -9`` of the process and all that it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def start_web(self) -> str:
        """Its address, once it answers."""
        port = free_port()
        env = {**self.env, "PORT": str(port), "AUTOLOADER_WEB_WORKERS": "1"}
        command = [sys.executable, "-m", "gunicorn", "-c", "python:autoloader.gunicorn_conf", "autoloader.wsgi"]
        with (self.folder / "web.log").open("ab") as log:
            self.processes["web"] = subprocess.Popen(
                command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, stdin=subprocess.DEVNULL
            )
        self.until("the web server answers", lambda: not port_is_free(port), 60)
        return f"http://127.0.0.1:{port}"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if url := self.env.get("DATABASE_URL"):
            with psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True) as connection:
                return connection.execute(sql.encode()).fetchall()
        database = sqlite3.connect(self.folder / "data" / "autoloader.sqlite3", timeout=30)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def until(self, what: str, done: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := done():
                return value
            time.sleep(0.1)
        logs = {path.name: path.read_text()[-3000:] for path in self.folder.glob("*.log")}
        raise AssertionError(f"not within {seconds} s: {what}\n{self.query('select * from ingestions_run')}\n{logs}")

    def ended(self, run_id: str, seconds: float = 120) -> str:
        """The run's status once it has ended."""
        key = run_id.replace("-", "")
        sql = f"select status from ingestions_run where id='{key}' and ended_at is not null"
        status: str = self.until(f"run {run_id} ends", lambda: self.query(sql), seconds)[0][0]
        return status
