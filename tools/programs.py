"""Finds programs that come from the machine's own packages. Standard library only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def find_postgres() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``, which Debian keeps off the PATH; the newest of several."""
    if (found := shutil.which("initdb")) and (Path(found).parent / "pg_ctl").exists():
        return Path(found).parent
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    usable = [folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    return max(usable, key=_version, default=None)


def _version(folder: Path) -> float:
    digits = folder.parent.name.rpartition("@")[2]
    try:
        return float(digits)
    except ValueError:
        return 0.0


def find_chromium() -> Path | None:
    """A Chromium or Chrome: ``CHROMIUM`` or the PATH."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome"):
        if name and (found := shutil.which(name)):
            return Path(found)
    return None


def find_go() -> Path | None:
    """The Go compiler: on the PATH, or where its own installer puts it."""
    for name in ("go", "/usr/local/go/bin/go", "/opt/homebrew/bin/go"):
        if found := shutil.which(name):
            return Path(found)
    return None
