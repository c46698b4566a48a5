"""ORC files to rows, and times that say no zone."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pytest

from ingestions.engine.loader.typed_rows import _clock
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


clock = datetime.fromisoformat


def orc_file(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    orc.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def test_each_type_of_orc_has_its_column(feed: NewFeed) -> None:
    rows = feed("orc")
    noon = clock("2024-07-01 12:00:00.123456")
    data = orc_file(
        {
            "i": pa.array([1, None], pa.int16()),
            "b": pa.array([b"\x00\xff", None]),
            "t": pa.array([noon, clock("1905-01-01")], pa.timestamp("us")),
            "d": pa.array([date(2024, 1, 5), None]),
            "m": pa.array([Decimal("1.50"), None], pa.decimal128(12, 2)),
            "s": pa.array([{"a": 1, "l": ["x"]}, None]),
            "k": pa.array([[("x", 1)], None], pa.map_(pa.string(), pa.int32())),
        }
    )
    loaded = rows.load(rows.sniffed("a.orc", data))
    assert rows.types() == {
        "i": "int", "b": "binary", "t": "timestamp_ntz", "d": "date", "m": "decimal(12,2)",
        "s": "struct<a:bigint,l:array<string>>", "k": "map<string,int>",
    }  # fmt: skip
    first, second = sorted(loaded.rows, key=lambda row: row["i"] is None)
    assert (first["i"], bytes(first["b"]), first["t"], first["d"]) == (1, b"\x00\xff", noon, date(2024, 1, 5))
    assert (first["m"], first["s"], first["k"]) == (Decimal("1.50"), {"a": 1, "l": ["x"]}, {"x": 1})
    assert second["t"] == clock("1905-01-01")
    assert loaded.rescued() == []


def test_a_clock_is_the_same_whatever_the_zone_of_the_session_and_of_the_machine(feed: NewFeed) -> None:
    """Spark reads 12:00 as the moment when it is 12:00 where it runs. That is taken back, here for a machine in Tokyo
    and a session in Berlin."""
    spark = feed("orc").spark
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        moment = spark.sql("SELECT timestamp'2024-07-01 12:00:00.123456 Asia/Tokyo' AS t")
        found = moment.select(_clock(moment["t"], "Asia/Tokyo").cast("string").alias("t")).collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert found[0]["t"] == "2024-07-01 12:00:00.123456"


def test_what_spark_wrote_comes_back(feed: NewFeed, tmp_path: Path) -> None:
    rows = feed("orc")
    sql = "SELECT timestamp'2024-07-01 12:00:00' AS t, timestamp_ntz'2024-07-01 12:00:00' AS n, 5 AS i"
    rows.spark.sql(sql).coalesce(1).write.orc(f"file://{tmp_path}/written")
    (part,) = (tmp_path / "written").glob("*.orc")
    row = rows.load(rows.sniffed("a.orc", part.read_bytes())).one()
    assert rows.types() == {"t": "timestamp", "n": "timestamp_ntz", "i": "int"}
    assert row["n"] == clock("2024-07-01 12:00")


def test_columns_that_move_appear_and_do_not_fit(feed: NewFeed) -> None:
    rows = feed("orc")
    loaded = rows.load(
        rows.sniffed("a.orc", orc_file({"a": pa.array([1]), "b": pa.array(["x"])})),
        rows.sniffed("b.orc", orc_file({"b": pa.array(["y"]), "a": pa.array([2]), "c": pa.array([True])})),
    )
    assert sorted((row["a"], row["b"], row["c"]) for row in loaded.rows) == [(1, "x", None), (2, "y", True)]
    assert rows.load(rows.sniffed("c.orc", orc_file({"a": pa.array([1.5])}))).rescued() == [{"a": "1.5"}]
