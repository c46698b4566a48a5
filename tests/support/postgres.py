"""A PostgreSQL server of the tests' own, in a temporary folder on a free port."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from autoloader.lib.processes import free_port
from tools.programs import find_postgres


class PostgresServer:
    """Started by the constructor. The server refuses to run as root, so then it runs as a user without rights.

    ``keeps_commits``: what was committed outlives the server's sudden end; without it a commit is quicker.
    """

    def __init__(self, *, keeps_commits: bool = False) -> None:
        found = find_postgres()
        if found is None:
            raise RuntimeError("There is no PostgreSQL server on this machine. Run `make test-setup`, or install one.")
        self._bin = found
        self._as = _unprivileged() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="autoloader-postgres-"))
        if self._as:
            os.chown(self.folder, self._as.pw_uid, self._as.pw_gid)
        self.port = free_port()
        self._run("initdb", "-D", "data", "-U", "autoloader", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        # the machine goes on running, so what is written is kept without fsync
        self._options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
            f"-c fsync=off -c synchronous_commit={'on' if keeps_commits else 'off'} "
            "-c full_page_writes=off -c max_connections=200"
        )
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-l", "server.log", "-o", self._options, "start")

    def halt(self, mode: str) -> None:
        """Ends the server and keeps its data. ``mode``: ``fast`` ends transactions first, ``immediate`` is a crash."""
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def crash(self) -> None:
        """Gone as after a power cut; ``start`` brings it back."""
        self.halt("immediate")

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(f"postgresql://autoloader@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgres://autoloader@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        user: dict[str, Any] = (
            {"user": self._as.pw_uid, "group": self._as.pw_gid, "extra_groups": []} if self._as else {}
        )
        log = self.folder / "setup.log"
        with log.open("ab") as out:  # not a pipe: the server would keep it open
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=120,
                **user,
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{log.read_text()[-3000:]}")


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root and this machine has no user `postgres` or `nobody`.")


@cache
def shared_server() -> PostgresServer:
    """The one server of this test session; it ends with the session."""
    server = PostgresServer()
    atexit.register(server.stop)
    return server
