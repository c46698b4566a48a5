"""Processes that we start: they die with their parent, and are told apart from others that got the same id later."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence

import psutil

# Asks Linux for a signal to this process when its parent is gone, then becomes the command. Done in a process of its
# own and not between fork and exec, where Python code is not safe once there are threads.
_TRAMPOLINE = (
    "import ctypes, os, sys\n"
    "number, parent = int(sys.argv[1]), int(sys.argv[2])\n"
    "ctypes.CDLL(None).prctl(1, number)\n"
    "os.getppid() == parent or sys.exit(1)\n"
    "os.execvp(sys.argv[3], sys.argv[3:])\n"
)


def dying_with_parent(command: Sequence[str], number: int = signal.SIGTERM) -> list[str]:
    """``command``, changed so that it gets the signal when the process that starts it ends, whatever ended that one.

    Linux only; elsewhere the command is returned as it is. Start it from a thread that lives as long as the process.
    """
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(int(number)), str(os.getpid()), *command]


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now. Ports in TIME_WAIT count as free, as they do for servers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def started_at(pid: int) -> float | None:
    """When the process began, in seconds since the epoch; ``None`` where there is none (a zombie counts as none)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def group_members(group: int) -> list[int]:
    """The living processes of a process group."""
    members = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except ProcessLookupError:
            continue
    return members


def signal_group(group: int, number: int) -> None:
    """Sends a signal to a whole process group, which may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
