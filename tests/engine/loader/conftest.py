"""Sessions and feeds over the embedded server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from tests.engine.loader.feed import Feed, new_session


@pytest.fixture(scope="session")
def spark(spark_server: EmbeddedServer) -> Any:
    return new_session(spark_server.url)


@pytest.fixture
def feed(spark: Any, tmp_path: Path) -> Callable[..., Feed]:
    """``feed("json", format={…}, destination={…}, table="…")``: a new table each."""

    def make(format_: str = "csv", *, table: str | None = None, database: str = "tests", **options: Any) -> Feed:
        named: dict[str, Any] = {"table": table} if table else {}
        return Feed(spark, tmp_path, format_, database=database, options=options, **named)

    return make
