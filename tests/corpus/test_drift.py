"""Feeds that nobody planned for, loaded in several runs and compared with a model in plain Python.

The same seed makes the same feeds: ``AUTOLOADER_SEED`` is another one, ``AUTOLOADER_EXAMPLES`` how many of each kind.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, seed, settings

from clusters.embedded import EmbeddedServer
from ingestions.engine.first_bytes import EMPTY_CODES
from tests.corpus import drift, model
from tests.corpus.engine import Table
from tests.engine.loader.feed import new_session

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]
SEED = int(os.environ.get("AUTOLOADER_SEED", "5"))
FEW = int(os.environ.get("AUTOLOADER_EXAMPLES", "12"))
MANY = 10 * FEW
#: a feed takes seconds: so many are tried to find a smaller one that fails.
TRIES = 30
Load = Callable[[str, drift.Runs], None]


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class Loading:
    """Loads a feed and compares. Once a feed has failed, only so many others are tried; then all pass, which ends the
    search for a smaller one, and those that failed fail again."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self.spark = spark
        self.folder = folder
        self.numbers = itertools.count()
        self.failed: dict[tuple[bytes, ...], Exception] = {}
        self.left = TRIES

    def __call__(self, format_: str, runs: drift.Runs) -> None:
        note(f"AUTOLOADER_SEED={SEED}")
        key = tuple(file.content for files in runs for file in files)
        if key in self.failed:
            raise self.failed[key]
        if self.failed:
            self.left -= 1
        if self.left < 0:
            return
        try:
            self._load(format_, runs)
        except Exception as error:
            self.failed[key] = error
            raise

    def _load(self, format_: str, runs: drift.Runs) -> None:
        table = Table(self.spark, self.folder / str(next(self.numbers)), {"type": format_})
        for files in runs:
            for file in files:
                table.write(file.name, file.content)
            table.run()
        types, rows = table.types(), table.rows()
        assert [error for error in table.ledger.errors if error.code not in EMPTY_CODES] == []
        for file in itertools.chain.from_iterable(runs):
            model.check_rows(types, rows.get(file.name, []), file.records, drift.KEY)


@pytest.fixture
def load(spark_server: EmbeddedServer, tmp_path: Path) -> Load:
    return Loading(new_session(spark_server.url), tmp_path)


@seed(SEED)
@examples(FEW)
@given(runs=drift.csv_feeds())
def test_csv_feeds_that_drift(load: Load, runs: drift.Runs) -> None:
    load("csv", runs)


@seed(SEED)
@examples(FEW)
@given(runs=drift.json_feeds())
def test_json_feeds_that_drift(load: Load, runs: drift.Runs) -> None:
    load("json", runs)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@seed(SEED + 1)
@examples(MANY)
@given(runs=drift.csv_feeds())
def test_many_csv_feeds_that_drift(load: Load, runs: drift.Runs) -> None:
    load("csv", runs)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@seed(SEED + 1)
@examples(MANY)
@given(runs=drift.json_feeds())
def test_many_json_feeds_that_drift(load: Load, runs: drift.Runs) -> None:
    load("json", runs)
