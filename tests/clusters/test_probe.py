"""The connection test against real listeners: closed, silent, without TLS, with a bad certificate; and a real Spark."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyspark.sql.connect.session import SparkSession

from clusters.probe import Check, Probe, probe
from clusters.reach import is_loopback, own_addresses
from clusters.url import Target

Listen = Callable[..., int]


def checks(result: Probe) -> dict[str, Check]:
    return {check.name: check for check in result.checks}


@pytest.fixture
def listen() -> Iterator[Listen]:
    """``listen(handle, host)``: a port on which each connection is given to ``handle``."""
    servers: list[socket.socket] = []
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def run(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    def start(handle: Callable[[socket.socket], None] = lambda _: None, host: str = "127.0.0.1") -> int:
        server = socket.create_server((host, 0))
        servers.append(server)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    run(partial(handle, held[-1]))

        run(serve)
        return int(server.getsockname()[1])

    yield start
    for each in servers:
        each.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
    for each in held:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(5)
    for each in (*servers, *held):
        each.close()


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_a_closed_port_ends_the_test_with_a_remedy() -> None:
    found = checks(probe(Target("sc://127.0.0.1:9")))
    assert not found["port"].ok
    assert "connection refused" in found["port"].detail
    assert "authentication" not in found


def test_a_name_that_does_not_resolve() -> None:
    found = checks(probe(Target("sc://no-such-host.invalid:15002")))
    assert not found["name"].ok
    assert "port" not in found


def test_the_machines_own_services_are_not_asked() -> None:
    found = checks(probe(Target("sc://169.254.169.254:80")))
    assert not found["name"].ok
    assert "port" not in found


def test_a_token_is_not_sent_to_a_port_without_tls(listen: Listen) -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        connection.sendall(b"hello\n")

    port = listen(answer)
    found = checks(probe(Target(f"sc://127.0.0.1:{port}", token="very-secret")))
    assert not found["TLS"].ok
    assert "does not speak TLS" in found["TLS"].detail
    assert not any(b"very-secret" in data for data in seen)


def test_a_certificate_that_nobody_vouches_for(listen: Listen, tmp_path: Path) -> None:
    context = certificate(tmp_path, "spark")

    def serve(connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            connection.close()

    found = checks(probe(Target(f"sc://127.0.0.1:{listen(serve)}/;use_ssl=true")))
    assert not found["TLS"].ok
    assert "certificate of 127.0.0.1 is not accepted" in found["TLS"].detail


def test_a_port_that_says_nothing_is_given_up_in_time(listen: Listen) -> None:
    began = time.monotonic()
    found = checks(probe(Target(f"sc://127.0.0.1:{listen()}"), budget_seconds=4))
    assert time.monotonic() - began < 15
    assert not found["awake"].ok
    assert "asleep" in found["awake"].hint


def test_a_port_that_other_machines_reach_is_warned_about(listen: Listen) -> None:
    found = checks(probe(Target(f"sc://127.0.0.1:{listen(host='0.0.0.0')}"), budget_seconds=3))
    assert own_addresses(), "this machine has no address but loopback"
    assert found["open port"].warning
    assert own_addresses()[0] in found["open port"].detail
    found = checks(probe(Target(f"sc://127.0.0.1:{listen()}"), budget_seconds=3))
    assert "open port" not in found


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("spark", False)]
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.spark
def test_a_sound_cluster_passes_every_step_and_keeps_nothing(spark_server: Any) -> None:
    result = probe(Target(spark_server.url), catalog="local")
    found = checks(result)
    assert result.ok, found
    for name in ("name", "port", "TLS", "authentication", "awake", "Spark version", "Iceberg catalogs"):
        assert found[name].ok
    assert found["SQL extensions"].ok
    assert found["may create"].ok
    assert {"csv", "json", "parquet"} <= set(result.formats)
    assert result.catalogs == ["local"]
    assert result.latency_ms is not None
    assert result.to_json()["status"] == "success"
    spark = SparkSession.builder.remote(spark_server.url).create()
    try:
        names = [row[0] for row in spark.sql("SHOW NAMESPACES IN local").collect()]
    finally:
        spark.stop()
    assert not [name for name in names if name.startswith("autoloader_probe")]


@pytest.mark.spark
def test_a_catalog_that_is_not_there_is_named_with_those_that_are(spark_server: Any) -> None:
    found = checks(probe(Target(spark_server.url), catalog="nope"))
    assert not found["Iceberg catalogs"].ok
    assert "(local)" in found["Iceberg catalogs"].detail
    assert "may create" not in found
