from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from tests.services.refresh.feed import Feed


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    folder = tmp_path / "feed"
    folder.mkdir()
    return folder


@pytest.fixture
def feed(spark_server: EmbeddedServer, root: Path) -> Feed:
    made = Feed(root, spark_server.url, f"t{uuid.uuid4().hex[:12]}")
    made.load()
    made.check_whole()
    return made
