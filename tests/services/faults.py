"""Faults that tests bring about, as they come in the field."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path | str) -> Iterator[None]:
    """A SQLite database, by another process."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield
        finally:
            holder.kill()


@contextmanager
def database(**options: Any) -> Iterator[None]:
    """This process's next connections have these options, or (``NAME``) another file."""
    before = dict(connection.settings_dict), dict(connection.settings_dict["OPTIONS"])
    connection.close()
    connection.settings_dict["NAME"] = options.pop("NAME", before[0]["NAME"])
    connection.settings_dict["OPTIONS"] = {**before[1], **options}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"], connection.settings_dict["OPTIONS"] = before[0]["NAME"], before[1]
