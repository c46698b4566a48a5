"""Folders of this machine, for the embedded cluster; only below the allowed roots.

Links are followed where they lead to a place below the roots. A link that leads out of them, to nothing or back to a
folder it lies in is left out, and so is whatever is neither file nor folder; the log says how many.
"""

from __future__ import annotations

import logging
import os
import stat as modes
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, FileError, TransientError
from ingestions.engine.sources.base import RemoteFile, SparkAccess
from ingestions.engine.sources.location import Location

logger = logging.getLogger(__name__)

SCHEME = "file"
SETTING = "AUTOLOADER_LOCAL_ROOTS"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_roots(location: Location, local_roots: Sequence[str]) -> None:
    """Raises ConfigError unless the folder, links resolved, lies below an allowed root."""
    path = location.base.removeprefix("file://")
    if not _within(os.path.realpath(path), _real(local_roots)):
        listed = ", ".join(local_roots) or "none"
        raise ConfigError(
            "outside_local_roots",
            f"The folder {path} is not below an allowed folder ({listed}).",
            f"Put the files below one of them, or let the operator add the folder to {SETTING}.",
            field="source.path",
        )


def _real(roots: Sequence[str]) -> tuple[str, ...]:
    return tuple(os.path.realpath(Path(root).expanduser()) for root in roots)


def _within(real: str, roots: Sequence[str]) -> bool:
    return any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots)


class LocalSource:
    """Files below one folder; addresses are ``file:///…``, un-encoded, as the folder was written (links kept)."""

    def __init__(self, location: Location, local_roots: Sequence[str]) -> None:
        check_roots(location, local_roots)
        self._location = location
        self._roots = _real(local_roots)
        self.left_out = 0

    def __repr__(self) -> str:
        return f"LocalSource({self._location.base!r})"

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        after = _path(start_after) if start_after else b""
        if below is not None:
            if self._allowed(_path(below)):
                yield from self._walked(below.removeprefix("file://"), after)
            return
        folder = self._location.base.removeprefix("file://")
        plain = os.fsencode(folder.rstrip("/") or "/")
        if self._location.open_end and os.path.isfile(plain):
            found = self._file(plain)
            if found is not None and plain > after:
                yield found
            return
        if not os.path.isdir(plain):
            raise AccessError(
                "no_such_folder",
                f"There is no folder {folder}.",
                "Check the path, and that the disk it lies on is mounted.",
            )
        yield from self._walked(folder, after)

    def _walked(self, folder: str, after: bytes) -> Iterator[RemoteFile]:
        walk = _Walk(self._roots, after)
        for path in walk.files(os.fsencode(folder), (os.path.realpath(folder),)):
            if (found := self._file(path)) is not None:
                yield found
        self.left_out = walk.left_out
        if walk.left_out:
            logger.warning("left out while listing", extra={"folder": folder, "objects": walk.left_out})

    def folders(self, below: str) -> Iterator[str]:
        if self._allowed(_path(below)):
            real = os.path.realpath(below.removeprefix("file://"))
            for name in _Walk(self._roots, b"").names(_path(below), (real,)):
                if name.endswith(b"/"):
                    yield _address(_path(below) + name)

    def stat(self, address: str) -> RemoteFile | None:
        path = _path(address)
        return self._file(path) if self._allowed(path) else None

    def read_range(self, address: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        path = _path(address)
        if not self._allowed(path):
            raise _gone(address)
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size + start) if start < 0 else start)
                return _read(file.fileno(), length)
        except OSError as error:
            raise _translated(error, address) from None

    def weigh(self, folder: str, limit: int) -> int | None:
        return None  # a look at each file costs nothing here

    def spark_access(self) -> SparkAccess:
        return SparkAccess(scheme=SCHEME, ledger_scheme=SCHEME, fingerprint=SCHEME)

    def close(self) -> None:
        """Nothing is held open."""

    def _allowed(self, path: bytes) -> bool:
        return b"\0" not in path and _within(os.path.realpath(os.fsdecode(path)), self._roots)

    def _file(self, path: bytes) -> RemoteFile | None:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _translated(error, _address(path)) from None
        if not modes.S_ISREG(found.st_mode):
            return None
        version = f"{found.st_mtime_ns}-{found.st_size}"
        modified_at = _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)
        return RemoteFile(_address(path), version, found.st_size, modified_at)


class _Walk:
    """A depth-first walk in key order (bytes of the whole path), holding the names of one folder a level."""

    def __init__(self, roots: Sequence[str], after: bytes) -> None:
        self.roots = roots
        self.after = after
        self.left_out = 0

    def files(self, folder: bytes, above: tuple[str, ...]) -> Iterator[bytes]:
        """``folder`` ends with ``/``; ``above`` are the real paths of it and the folders it was reached through."""
        for name in self.names(folder, above):
            path = folder + name
            if not name.endswith(b"/"):
                if path > self.after:
                    yield path
            # Everything below comes before `after`, unless `after` itself lies below or starts with it.
            elif path > self.after or self.after.startswith(path):
                yield from self.files(path, (*above, os.path.realpath(os.fsdecode(path))))

    def names(self, folder: bytes, above: tuple[str, ...]) -> list[bytes]:
        """The names in ``folder`` in key order, folders with a ``/`` at their end: so sorts the whole key."""
        names = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = self._name(entry, above)
                    if name is None:
                        self.left_out += 1
                    else:
                        names.append(name)
        except FileNotFoundError:
            return []  # deleted meanwhile
        except OSError as error:
            raise _translated(error, _address(folder)) from None
        names.sort()
        return names

    def _name(self, entry: os.DirEntry[bytes], above: tuple[str, ...]) -> bytes | None:
        if entry.is_symlink():
            real = os.path.realpath(os.fsdecode(entry.path))
            if not _within(real, self.roots) or real in above:
                return None
        if entry.is_dir():
            return entry.name + b"/"
        return entry.name if entry.is_file() else None


def _read(descriptor: int, length: int) -> bytes:
    chunks = []
    while length > 0 and (chunk := os.read(descriptor, length)):
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def _path(address: str) -> bytes:
    return os.fsencode(address.removeprefix("file://"))


def _address(path: bytes) -> str:
    """Names that are not UTF-8 are shown with ``\\xNN``: they can be told, but not opened under that name."""
    return "file://" + path.decode("utf-8", "backslashreplace")


def _gone(address: str) -> FileError:
    if "\\x" in address:
        return FileError(
            "name_not_utf8",
            f"The name of {address} is not UTF-8, so Spark cannot open the file.",
            "Rename the file.",
            path=address,
        )
    return FileError(
        "file_gone",
        f"{address} is not there any more.",
        "Put it back and retry it, or skip it in the ledger.",
        path=address,
    )


def _translated(error: OSError, address: str) -> AutoloaderError:
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return _gone(address)
    if isinstance(error, PermissionError):
        return AccessError(
            "access_denied",
            f"This process may not read {address}.",
            "Give the user that runs Autoloader the right to read it.",
        )
    return TransientError(
        "read_failed", f"{address} cannot be read: {error.strerror}.", "Check the disk; it is tried again."
    )
