"""Real files as they were published, value by value: what Python's own readers find in them stands in the table."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from ingestions.engine.ledger import State
from tests.corpus import model
from tests.corpus.engine import Table
from tests.engine.loader.feed import new_session

pytestmark = pytest.mark.spark
ROOT = Path(os.environ["AUTOLOADER_REAL_FEEDS"])
GROWING = "jhu-csse"
NewTable = Callable[[str], Table]


def files(kind: str) -> list[Path]:
    return sorted(path for path in ROOT.rglob(f"*.{kind}") if path.parent.name != GROWING)


@pytest.fixture
def table(spark_server: EmbeddedServer, tmp_path: Path) -> NewTable:
    spark = new_session(spark_server.url)
    return lambda kind: Table(spark, tmp_path / "feed", {"type": kind})


def csv_records(path: Path) -> list[dict[str, Any]]:
    text = io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")
    header, *rows = (row for row in csv.reader(text) if row)
    assert len(set(header)) == len(header)
    return [dict(zip(header, row, strict=True)) for row in rows]


def json_records(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_bytes())
    return found if isinstance(found, list) else [found]


def check(table: Table, wanted: dict[str, list[dict[str, Any]]]) -> None:
    """Each file is loaded; its rows, in the file's order, say what its records say."""
    assert {name: verdict.state for name, verdict in table.verdicts().items()} == dict.fromkeys(wanted, State.LOADED)
    types, rows = table.types(), table.rows()
    for name, records in wanted.items():
        assert len(rows[name]) == len(records), name
        for row, record in zip(rows[name], records, strict=True):
            model.check_row(types, row, record)


def day(path: Path) -> date:
    month, number, year = path.stem.split("-")
    return date(int(year), int(month), int(number))


@pytest.mark.skipif(not (ROOT / GROWING).is_dir(), reason="the feed is not there")
@pytest.mark.timeout(900)
def test_a_feed_as_it_grew_week_by_week(table: NewTable) -> None:
    """Marks, quoted commas, three forms of time, a header in the middle, other names and more columns later on."""
    weeks: dict[tuple[int, int], list[Path]] = defaultdict(list)
    for path in (ROOT / GROWING).glob("*.csv"):
        weeks[day(path).isocalendar()[:2]].append(path)
    feed, loaded = table("csv"), {}
    for week in sorted(weeks):
        for path in weeks[week]:
            feed.write(path.name, path.read_bytes())
            loaded[path.name] = csv_records(path)
        feed.run()
        assert {verdict.state for verdict in feed.verdicts().values()} == {State.LOADED}
    check(feed, loaded)


@pytest.mark.parametrize("path", files("csv"), ids=lambda path: path.name)
def test_a_real_csv_keeps_each_value(table: NewTable, path: Path) -> None:
    feed = table("csv")
    feed.write(path.name, path.read_bytes())
    feed.run()
    check(feed, {path.name: csv_records(path)})


@pytest.mark.parametrize("path", files("json"), ids=lambda path: path.name)
def test_a_real_json_keeps_each_value(table: NewTable, path: Path) -> None:
    feed = table("json")
    feed.write(path.name, path.read_bytes())
    feed.run()
    check(feed, {path.name: json_records(path)})
