"""Files that are not what they were when they were listed, and times in the feed's own zone."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoloader.lib.errors import FileError
from clusters.embedded import EmbeddedServer
from ingestions.engine.formats.shape import Shape
from tests.engine.loader.feed import Feed, csv_shape, json_shape, new_session

pytestmark = pytest.mark.spark

NewFeed = Callable[..., Feed]
PARQUET = Shape("parquet")


def lines(count: int) -> str:
    """Text that gzip does not shrink to nothing, so that a file is longer than the first bytes that are looked at."""
    numbers = random.Random(1)  # the same rows each time
    return "".join(f"{at},{numbers.random()}\n" for at in range(count))


def table(count: int) -> bytes:
    numbers = random.Random(2)  # the same rows each time
    packed = io.BytesIO()
    columns = {"id": pa.array(range(count)), "x": pa.array([numbers.random() for _ in range(count)])}
    pq.write_table(pa.table(columns), packed)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["b.csv", "b c%20é.csv"])
def test_a_file_that_is_gone_when_it_is_read_is_set_aside_and_the_others_load(feed: NewFeed, name: str) -> None:
    """With a list of paths one that is missing fails all of them: the error has to say which it is."""
    rows = feed()
    here, gone = rows.csv("a.csv", "id\n1\n"), rows.csv(name, "id\n2\n")
    rows.evolve([here, gone])
    Path(gone.file.address.removeprefix("file://")).unlink()
    with pytest.raises(FileError) as raised:
        rows.load(here, gone)
    assert (raised.value.code, raised.value.path) == ("file_gone", gone.file.address)
    assert [row["id"] for row in rows.load(here).rows] == [1]
    assert len(rows.rows()) == 1


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_file_that_is_damaged_behind_its_first_bytes_is_set_aside(feed: NewFeed, kind: str) -> None:
    """Nothing of it is published, and it is told by its name."""
    rows = feed(kind)
    if kind == "parquet":
        whole = bytearray(table(50_000))
        good = rows.write("a.parquet", table(3), PARQUET)
        whole[200:20_000] = bytes(19_800)
        bad = rows.write("b.parquet", bytes(whole), PARQUET)
    elif kind == "json":
        records = "".join(json.dumps({"id": at, "x": text}) + "\n" for at, text in enumerate(lines(20_000).split()))
        good = rows.json("a.json", {"id": 1, "x": "y"})
        bad = rows.write("b.json.gz", gzip.compress(records.encode())[:-20_000], json_shape())
    else:
        good = rows.csv("a.csv", "id,x\n1,2\n")
        packed = gzip.compress(f"id,x\n{lines(20_000)}".encode())
        bad = rows.write("b.csv.gz", packed[:-20_000], csv_shape("id", "x"))
    rows.evolve([good])
    assert rows.blamed(good, bad, evolve=False) == [bad.file.address]
    assert rows.rows() == []
    assert len(rows.load(good, evolve=False).rows) == (3 if kind == "parquet" else 1)


def test_a_file_that_is_named_twice_is_read_once(feed: NewFeed) -> None:
    """Spark reads a path as often as it is listed."""
    rows = feed()
    entry = rows.csv("a.csv", "id\n1\n2\n")
    assert len(rows.load(entry, entry).rows) == 2


def test_times_without_a_zone_are_those_of_the_feeds_and_none_is_moved(
    spark_server: EmbeddedServer, tmp_path: Path
) -> None:
    """In the night of the change an hour is missing: Spark would move such a time on by an hour, silently."""
    spark = new_session(spark_server.url)
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    rows = Feed(spark, tmp_path, options={"format": {"timezone": "Europe/Berlin"}})
    times = ["2024-01-15 12:00:00", "2024-07-15 12:00:00", "2024-07-15T12:00:00Z", "2024-03-31 02:30:00"]
    sure = [f"2024-02-{day:02} 0{hour}:00:00" for day in range(1, 29) for hour in range(8)]
    text = "at\n" + "".join(f"{each}\n" for each in [*times, *sure])
    loaded = rows.load(rows.csv("a.csv", text))
    assert rows.types() == {"at": "timestamp"}
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    found = spark.sql(f"SELECT CAST(at AS string) AS at FROM {rows.loader.table}").collect()
    shown = {row["at"] for row in found}
    assert {"2024-01-15 11:00:00", "2024-07-15 10:00:00", "2024-07-15 12:00:00"} <= shown
    assert loaded.rescued() == [{"at": "2024-03-31 02:30:00"}]
    assert sum(row["at"] is None for row in found) == 1
