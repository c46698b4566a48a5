"""Servers that tests share. Each starts by itself, on a free port, in a temporary folder, and ends with the session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.embedded import VERSION, EmbeddedServer, start_server
from tests.support.postgres import shared_server
from tests.support.s3 import S3Server
from tests.support.sessions import keep_shared_channel, let_go_of_clients

keep_shared_channel()  # tests also use sessions of their own


@pytest.fixture(scope="session")
def spark_server() -> Iterator[EmbeddedServer]:
    """Spark Connect: ``.url``, ``.port``, ``.warehouse``, ``.kill()``, ``.restart()``; the catalog is ``local``.

    ``AUTOLOADER_TEST_SPARK`` names another version than the embedded one.
    """
    folder = Path(tempfile.mkdtemp(prefix="autoloader-spark-"))
    server = start_server(folder, version=os.environ.get("AUTOLOADER_TEST_SPARK") or VERSION)
    try:
        yield server
    finally:
        let_go_of_clients()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """S3 that checks keys: ``.url``, ``.key``, ``.secret``, ``.s3``, ``.create_bucket()``, ``.credentials()``."""
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The URL of an empty database on a PostgreSQL server of this session's own."""
    return shared_server().create_database()
