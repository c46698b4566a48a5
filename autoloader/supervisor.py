"""Runs one installation: embedded Spark, worker, scheduler and web, from first to last.

The order of the start is Spark, web, worker and scheduler; of the stop web, scheduler, worker, Spark: nobody loses
what it still needs. Each runs in a process group of its own, so that Ctrl-C reaches this process only and a stop is a
matter of order. Spark's port is kept in the data folder, because tables and settings of people's tools name it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from autoloader import installation
from autoloader.children import Child, CommandChild, Keeper, SparkChild, end_leftovers, manage, shorten_logs
from autoloader.lib.errors import ConfigError, FatalError
from autoloader.lib.processes import dying_with_parent, free_port, port_is_free
from clusters.embedded import HOST, START_SECONDS, EmbeddedServer
from clusters.embedded_cluster import register_embedded

LOOK_SECONDS = 0.2
LOGS_SECONDS = 60.0
#: how long the sample has to end when everything is stopped.
SAMPLE_SECONDS = 10.0
LOOPBACK = "127.0.0.0/8,::1/128"


class Stopped(Exception):
    """Somebody asked to stop while the start was still going on."""


@dataclass(frozen=True)
class Options:
    """``base_dir`` holds ``manage.py``; ``bind`` and ``port`` the web server's; logs go to files or else to stdout."""

    base_dir: Path
    data_dir: Path
    tools_dir: Path
    bind: str
    port: int
    logs_to_files: bool
    with_sample: bool
    worker_stop_seconds: float = 60.0

    @property
    def address(self) -> str:
        """The site's address for a browser on this machine."""
        host = "127.0.0.1" if self.bind in ("0.0.0.0", "[::]", "127.0.0.1") else self.bind  # noqa: S104  # compared only
        return f"http://{host}:{self.port}"


@dataclass
class Supervisor:
    """``run()`` returns when everything has stopped. ``say`` gets calm plain lines for people."""

    options: Options
    say: Callable[[str], None]
    _keepers: dict[str, Keeper] = field(default_factory=dict)
    _stops: int = 0

    def run(self) -> None:
        """Raises :class:`ConfigError` with one clear line where it cannot start."""
        with self._only_one(), self._signals():
            try:
                self._start()
                self._watch()
            except Stopped:
                pass
            finally:
                self._stop()

    # --- start -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        began = time.monotonic()
        options = self.options
        for folder in ("run", "logs", "files", "spark"):
            (options.data_dir / folder).mkdir(parents=True, exist_ok=True)
        os.umask(0o077)  # the database, tables and logs are for this user only
        end_leftovers(options.data_dir / "run", self.say)
        if not port_is_free(options.port, options.bind.strip("[]")):
            raise ConfigError(
                "port_taken",
                f"The port {options.port} is in use by another program.",
                f"Stop that program, or choose another port: make run PORT={options.port + 1}",
            )
        spark = self._start_spark()
        self._check()
        if installation.migrate():
            self.say("The database is ready.")
        password = installation.create_administrator()
        if password:
            self._tell_password(password)
        installation.collect_static()
        self._check()
        register_embedded(spark.port)
        self._keep(self._web())
        self._wait_for_spark(spark)
        self._keep(self._command("worker", manage("run_worker"), options.worker_stop_seconds))
        self._keep(self._command("scheduler", manage("run_scheduler"), 10))
        self._wait_for_web()
        self.say(f"Everything runs after {time.monotonic() - began:.0f} s. {self._where(spark)}")
        if options.with_sample and not (options.data_dir / "sample.json").exists():
            self._load_sample()
        self.say("Ctrl-C stops it.")

    def _start_spark(self) -> EmbeddedServer:
        kept = self.options.data_dir / "spark" / "port"
        port = int(kept.read_text()) if kept.exists() else 0
        if not port or not port_is_free(port, HOST):
            port = free_port(HOST)
            kept.write_text(str(port))
        server = EmbeddedServer(self.options.data_dir, self.options.tools_dir, port=port)
        self._keep(SparkChild(server))
        return server

    def _wait_for_spark(self, server: EmbeddedServer) -> None:
        limit = time.monotonic() + START_SECONDS
        while not server.answers():
            self._pause()
            if not server.running:
                raise FatalError("spark_died", "Embedded Spark ended at its start.", server.last_words())
            if time.monotonic() > limit:
                raise FatalError("spark_slow", "Embedded Spark does not answer.", server.last_words())

    def _wait_for_web(self) -> None:
        host = self.options.address.removeprefix("http://").rpartition(":")[0].strip("[]")
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            with contextlib.suppress(OSError), socket.create_connection((host, self.options.port), timeout=1):
                return
            self._pause()
            self._look()
        raise FatalError("web_slow", "The web server does not answer.", f"Look at {self._log('web') or 'its log'}.")

    def _web(self) -> CommandChild:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:autoloader.gunicorn_conf", "autoloader.wsgi"]
        return self._command("web", command, 15)

    def _command(self, name: str, command: list[str], stop_seconds: float) -> CommandChild:
        return CommandChild(name, command, self._environment(), self.options.base_dir, stop_seconds, self._log(name))

    def _environment(self) -> dict[str, str]:
        """Of our children. Tests and trials talk to servers on this machine: unless told otherwise, they may."""
        return {
            "AUTOLOADER_ALLOWED_NETWORKS": LOOPBACK,
            **os.environ,
            "AUTOLOADER_DATA_DIR": str(self.options.data_dir),
            "AUTOLOADER_BIND": self.options.bind,
            "PORT": str(self.options.port),
            "PYTHONUNBUFFERED": "1",
        }

    def _log(self, name: str) -> Path | None:
        return self.options.data_dir / "logs" / f"{name}.log" if self.options.logs_to_files else None

    def _load_sample(self) -> None:
        """As a process of its own: the Spark client it needs is large, and this process lives long."""
        with subprocess.Popen(  # noqa: S603  # our own command
            dying_with_parent(manage("sample")),
            cwd=self.options.base_dir,
            env=self._environment(),
            start_new_session=True,
        ) as process:
            try:
                while process.poll() is None:
                    self._pause()
                    self._look()
            finally:
                if process.poll() is None:
                    process.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(SAMPLE_SECONDS)
                    process.kill()
        if process.returncode:
            self.say("The sample was not loaded; the next start tries again.")

    def _keep(self, child: Child) -> None:
        keeper = Keeper(child, self.options.data_dir / "run" / f"{child.name}.json", self.say)
        self._keepers[child.name] = keeper
        keeper.start()

    def _tell_password(self, password: str) -> None:
        self.say(
            f"\n  Administrator: {installation.ADMINISTRATOR}\n  Password:      {password}\n"
            "  It is shown this once. To set another: "
            f"{sys.executable} manage.py changepassword {installation.ADMINISTRATOR}\n"
        )

    def _where(self, spark: EmbeddedServer) -> str:
        logs = f"Logs: {self.options.data_dir / 'logs'}." if self.options.logs_to_files else ""
        return f"Open {self.options.address} (Spark Connect: {spark.url}, catalog local). {logs}".rstrip()

    # --- watch -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        shortened = 0.0
        while True:
            self._pause()
            self._look()
            if time.monotonic() - shortened > LOGS_SECONDS:
                shorten_logs(self.options.data_dir / "logs")
                shortened = time.monotonic()

    def _look(self) -> None:
        for keeper in self._keepers.values():
            keeper.look()

    def _pause(self) -> None:
        self._check()
        time.sleep(LOOK_SECONDS)
        self._check()

    def _check(self) -> None:
        if self._stops:
            raise Stopped

    # --- stop ------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        if not self._keepers:
            return
        self.say("Stopping." if self._stops else "Stopping what was started.")
        for name in ("web", "scheduler", "worker", "spark"):
            if keeper := self._keepers.pop(name, None):
                self._stop_one(keeper)
        self.say("Stopped.")

    def _stop_one(self, keeper: Keeper) -> None:
        child = keeper.child
        began, told = time.monotonic(), False
        child.ask_to_stop()
        while child.exit_code() is None and child.pid is not None and self._stops < 2:
            waited = time.monotonic() - began
            if waited > child.stop_seconds:
                self.say(f"{child.name} did not end within {child.stop_seconds:.0f} s and is ended now.")
                break
            if waited > 3 and not told:
                self.say(f"Waiting for {child.name} to finish what it has in hand; Ctrl-C once more ends it at once.")
                told = True
            time.sleep(0.05)
        keeper.end()
        self.say(f"  {child.name} has ended")

    # --- one at a time, and signals --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """A lock that the system takes back when this process ends, however it ends."""
        self.options.data_dir.mkdir(parents=True, exist_ok=True)
        path = self.options.data_dir / "up.lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError("already_running", *_who_runs(path)) from None
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "address": self.options.address}))
            file.flush()
            yield

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stops += 1

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _who_runs(lock: Path) -> tuple[str, str]:
    try:
        told = json.loads(lock.read_text())
        who = f" (process {told['pid']}, {told['address']})"
    except (ValueError, KeyError, OSError):
        who = ""
    return (
        f"Autoloader already runs on the data folder {lock.parent}{who}.",
        "Stop it, or give this one a folder and a port of its own: make run AUTOLOADER_DATA_DIR=data2 PORT=8001",
    )
