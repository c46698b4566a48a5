"""Fetches the jars that ``clusters/embedded.lock`` names from a Maven repository. Standard library only."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ATTEMPTS = 4
RETRY_SECONDS = 1.0
CHUNK_BYTES = 256 * 1024
TIMEOUT_SECONDS = 60
PARALLEL = 6


class FetchError(Exception):
    """A jar cannot be had; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Jar:
    """One locked jar: ``coordinate`` is ``group:artifact:version``, ``sha256`` in hexadecimal."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    @property
    def repository_path(self) -> str:
        group, artifact, version = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{self.file_name}"


def read_lock(lock: Path, version: str) -> list[Jar]:
    """The jars of one Spark version."""
    tables = tomllib.loads(lock.read_text(encoding="utf-8"))
    if version not in tables:
        raise FetchError(f"{lock.name} names no jars for Spark {version}.")
    return [Jar(coordinate, sha256) for coordinate, sha256 in tables[version].items()]


def repository(spark_home: Path) -> str:
    """The Maven repository's address, with a closing slash: ``MAVEN_REPO``, or else Ivy's own default.

    Spark ships Ivy, the resolver behind ``spark-submit --packages``. Its class for Maven repositories carries the
    public repository's address as a constant (``DEFAULT_M2_ROOT``); reading it there keeps the address Spark's
    business, so that no file of ours has to name a host.
    """
    chosen = os.environ.get("MAVEN_REPO", "").strip()
    if chosen:
        return chosen.rstrip("/") + "/"
    for jar in sorted((spark_home / "jars").glob("ivy-*.jar")):
        with zipfile.ZipFile(jar) as archive:
            constants = archive.read("org/apache/ivy/plugins/resolver/IBiblioResolver.class")
        if found := re.search(rb"https://[\x21-\x7e]+?/maven2/", constants):
            return found.group().decode("ascii")
    raise FetchError(f"No Maven repository is known: {spark_home} has no Ivy. Set MAVEN_REPO to one.")


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line now and then."""

    def __init__(self, files: int) -> None:
        self.files, self.done, self.bytes = files, 0, 0
        self._lock, self._printed = threading.Lock(), 0.0
        self._terminal = sys.stderr.isatty()

    def add(self, received: int = 0, *, done: int = 0) -> None:
        with self._lock:
            self.bytes += received
            self.done += done
            now = time.monotonic()
            last = self.done == self.files and done
            if last or now - self._printed >= (0.2 if self._terminal else 5):
                self._printed = now
                end = "\r" if self._terminal and not last else "\n"
                sys.stderr.write(f"  jars {self.done}/{self.files}, {self.bytes / 1e6:.1f} MB{end}")
                sys.stderr.flush()


def _download(url: str, part: Path, progress: Progress) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "autoloader-setup"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer, part.open("wb") as file:
        while block := answer.read(CHUNK_BYTES):
            file.write(block)
            progress.add(len(block))


def _fetch_one(jar: Jar, base: str, folder: Path, progress: Progress) -> None:
    target = folder / jar.file_name
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        _try_download(jar, base + jar.repository_path, part, progress)
        found = digest_of(part)
        if found != jar.sha256:
            raise FetchError(
                f"{jar.coordinate}: the file that came has SHA-256 {found}, the lock says {jar.sha256}; it was "
                "deleted. Try again, or look at what MAVEN_REPO or the proxy serves."
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    progress.add(done=1)


def _try_download(jar: Jar, url: str, part: Path, progress: Progress) -> None:
    """Downloads with a few tries; raises :class:`FetchError` when none helped or trying again cannot."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(url, part, progress)
        except urllib.error.HTTPError as error:
            error.close()
            for_good = error.code < 500 and error.code not in (408, 429)
            if for_good or attempt == ATTEMPTS:
                raise FetchError(f"{jar.coordinate}: the repository answered {error.code} {error.reason}.") from None
        except (OSError, http.client.HTTPException) as error:  # no network, time-outs, resets, broken answers
            if attempt == ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise FetchError(
                    f"{jar.coordinate}: {reason}. Look at the network and its proxy, or set MAVEN_REPO to a mirror."
                ) from None
        time.sleep(RETRY_SECONDS * 2 ** (attempt - 1))
    raise AssertionError("not reached")


def fetch(jars: list[Jar], folder: Path, base: str) -> int:
    """Fetches what is missing into ``folder`` and returns how many files that were. Raises :class:`FetchError`.

    A file has its final name only after its digest was checked, so a name that is there needs no second look.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if not missing:
        return 0
    progress = Progress(len(missing))
    with ThreadPoolExecutor(PARALLEL) as pool:
        waiting = [pool.submit(_fetch_one, jar, base, folder, progress) for jar in missing]
        try:
            for future in as_completed(waiting):
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return len(missing)
