"""Setting up: which Python, what is taken out of Spark's package, and jars that are what the lock says."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools import bootstrap, fetch

ROOT = Path(__file__).resolve().parents[2]
#: what the programs of find-python's script need; the Pythons of this machine are in none of the tests' paths.
HELPERS = ("sh", "env")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in HELPERS:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def python(folder: Path, name: str, version: str, *, venv: bool = True) -> Path:
    """A program that answers like a Python of that version."""
    program = folder / name
    program.write_text(
        f"#!/bin/sh\ncase $2 in *version_info*) echo {version} ;; *venv*) exit {0 if venv else 1} ;; esac\n"
    )
    program.chmod(0o755)
    return program


def find_python(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "sh", ROOT / "tools" / "find-python"],
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3.12": "3.12", "python3.11": "3.11", "python3": "3.13"}, "python3.12"),
        ({"python3.11": "3.11", "python3": "3.13"}, "python3.11"),
        ({"python3": "3.11"}, "python3"),
        ({"python": "3.12"}, "python"),
        ({"python3.12": "3.13", "python3": "3.12"}, "python3"),
    ],
)
def test_a_python_that_fits_is_found(path: Path, there: dict[str, str], taken: str) -> None:
    for name, version in there.items():
        python(path, name, version)
    found = find_python(path)
    assert (found.returncode, found.stdout.strip()) == (0, str(path / taken)), found.stderr


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({}, "found none"),
        ({"python3": "3.9"}, "python3 is 3.9"),
        ({"python3": "3.13", "python": "2.7"}, "python3 is 3.13; python is 2.7"),
    ],
)
def test_another_python_ends_with_one_clear_line(path: Path, there: dict[str, str], told: str) -> None:
    for name, version in there.items():
        python(path, name, version)
    found = find_python(path)
    assert (found.returncode, found.stdout) == (1, "")
    assert len(found.stderr.splitlines()) == 1
    assert "needs Python 3.11 or 3.12" in found.stderr
    assert told in found.stderr


def test_a_python_without_venv_is_named_with_its_package(path: Path) -> None:
    python(path, "python3", "3.11", venv=False)
    found = find_python(path)
    assert found.returncode == 1
    assert "python3 is 3.11 without the module venv (package python3.11-venv)" in found.stderr


def test_a_python_can_be_named(path: Path) -> None:
    python(path, "python3.12", "3.12")
    mine = python(path, "mine", "3.11")
    assert find_python(path, PYTHON="mine").stdout.strip() == str(mine)
    python(path, "mine", "3.10")
    refused = find_python(path, PYTHON="mine")
    assert refused.returncode == 1
    assert "mine is 3.10" in refused.stderr


# --- Spark's package


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Like PySpark's source package."""
    made = tmp_path / "pyspark.tar.gz"
    with tarfile.open(made, "w:gz") as target:
        for name in ("pyspark-4/deps/jars/a.jar", "pyspark-4/deps/bin/spark-submit", "pyspark-4/setup.py"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            member.mode = 0o755
            target.addfile(member, io.BytesIO(name.encode()))
    return made


def unpacked(home: Path) -> set[str]:
    return {str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()}


def test_spark_alone_is_taken_out_of_its_package(archive: Path, tmp_path: Path) -> None:
    bootstrap._unpack(archive, tmp_path / "home")
    assert unpacked(tmp_path / "home") == {"jars/a.jar", "bin/spark-submit"}
    assert os.access(tmp_path / "home" / "bin" / "spark-submit", os.X_OK)


def test_a_python_that_knows_no_filters_for_archives_unpacks_it_too(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.11.2 is Debian 12's; the argument came with 3.11.4."""
    newer = tarfile.TarFile.extractall

    def older(self: tarfile.TarFile, path: Any = ".", members: Any = None, *, numeric_owner: bool = False) -> None:
        newer(self, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", older)
    bootstrap._unpack(archive, tmp_path / "home")
    assert unpacked(tmp_path / "home") == {"jars/a.jar", "bin/spark-submit"}


def test_an_unknown_step_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["venv", "nonsense"]) == 2
    assert "usage" in capsys.readouterr().err


def test_no_step_needs_more_than_the_standard_library() -> None:
    """It runs before anything is installed."""
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tools.bootstrap"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


# --- jars

CONTENT = b"a jar"
JAR = fetch.Jar("org.example:thing:1.0", hashlib.sha256(CONTENT).hexdigest())


class Answers(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A Maven repository over a folder: the folder, and its address."""
    folder = tmp_path / "repository"
    place = folder / JAR.repository_path
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield place, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_jar_is_fetched_once(repository: tuple[Path, str], tmp_path: Path) -> None:
    place, base = repository
    assert fetch.fetch([JAR], tmp_path / "jars", base) == 1
    assert (tmp_path / "jars" / "thing-1.0.jar").read_bytes() == CONTENT
    place.unlink()
    assert fetch.fetch([JAR], tmp_path / "jars", base) == 0


def test_a_jar_that_is_not_what_the_lock_says_is_not_kept(repository: tuple[Path, str], tmp_path: Path) -> None:
    place, base = repository
    place.write_bytes(b"another")
    with pytest.raises(fetch.FetchError, match=r"org\.example:thing:1\.0.*SHA-256.*MAVEN_REPO"):
        fetch.fetch([JAR], tmp_path / "jars", base)
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_jar_that_the_repository_has_not_is_named(repository: tuple[Path, str], tmp_path: Path) -> None:
    place, base = repository
    place.unlink()
    with pytest.raises(fetch.FetchError, match=r"org\.example:thing:1\.0: the repository answered 404"):
        fetch.fetch([JAR], tmp_path / "jars", base)


def test_a_repository_that_is_not_there_says_what_to_do(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "RETRY_SECONDS", 0.001)
    with pytest.raises(fetch.FetchError, match=r"org\.example:thing:1\.0: .*set MAVEN_REPO to a mirror"):
        fetch.fetch([JAR], tmp_path / "jars", "http://127.0.0.1:9/")


def test_the_repository_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAVEN_REPO", "https://mirror.example/maven")
    assert fetch.repository(tmp_path) == "https://mirror.example/maven/"
    monkeypatch.delenv("MAVEN_REPO")
    with pytest.raises(fetch.FetchError, match="Set MAVEN_REPO"):
        fetch.repository(tmp_path)


def test_every_jar_of_the_lock_is_named_once_and_has_a_digest() -> None:
    for version in (bootstrap.SPARK, bootstrap.SPARK_FOR_TESTS):
        jars = fetch.read_lock(bootstrap.JAR_LOCK, version)
        assert jars
        assert len({jar.file_name for jar in jars}) == len(jars)
        assert all(len(jar.sha256) == 64 and len(jar.coordinate.split(":")) == 3 for jar in jars)
