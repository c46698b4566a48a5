"""Parquet files to rows: their own types, by name, and what a table of other types makes of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestions.engine import sources
from ingestions.engine.formats.shape import Shape
from ingestions.engine.formats.sniff import sniff
from ingestions.engine.ledger import Entry
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def write(feed: Feed, name: str, columns: dict[str, Any], **options: Any) -> Entry:
    """A real file, with its shape as a run finds it."""
    pq.write_table(pa.table(columns), feed.folder / name, **options)
    bare = feed.entry(name, Shape("parquet", ()))
    source = sources.open_source(
        feed.config.source, None, local_roots=[str(feed.folder)], allowed_networks=[], alias_key="k"
    )
    try:
        return feed.entry(name, sniff(source, bare.file, feed.config.format))
    finally:
        source.close()


def test_types_are_the_files_own(feed: NewFeed) -> None:
    events = feed("parquet")
    when = dt.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=dt.UTC)
    entry = write(
        events,
        "a.parquet",
        {
            "i": pa.array([1, None], pa.int32()),
            "l": pa.array([2**40, None], pa.int64()),
            "d": pa.array([0.1, None], pa.float64()),
            "f": pa.array([1.5, None], pa.float32()),
            "b": pa.array([True, None]),
            "s": pa.array(["ä€😀", None]),
            "m": pa.array([Decimal("12.340"), None], pa.decimal128(10, 3)),
            "day": pa.array([dt.date(2024, 2, 29), None]),
            "at": pa.array([when, None], pa.timestamp("us", tz="UTC")),
            "raw": pa.array([b"\x00\xff", None]),
            "many": pa.array([[1, 2], None], pa.list_(pa.int64())),
            "nested": pa.array([{"x": 1, "y": "z"}, None], pa.struct([("x", pa.int64()), ("y", pa.string())])),
        },
    )
    loaded = events.load(entry)
    assert events.types() == {
        "i": "int", "l": "bigint", "d": "double", "f": "float", "b": "boolean", "s": "string", "m": "decimal(10,3)",
        "day": "date", "at": "timestamp", "raw": "binary", "many": "array<bigint>",
        "nested": "struct<x:bigint,y:string>",
    }  # fmt: skip
    full = next(row for row in loaded.rows if row["i"] == 1)
    assert (full["l"], full["d"], full["s"], full["m"]) == (2**40, 0.1, "ä€😀", Decimal("12.340"))
    assert (full["raw"], full["many"], full["nested"]) == (b"\x00\xff", [1, 2], {"x": 1, "y": "z"})
    assert full["day"] == dt.date(2024, 2, 29)
    assert loaded.rescued() == []
    empty = next(row for row in loaded.rows if row["i"] is None)
    assert [empty[name] for name in events.types()] == [None] * 12


def test_columns_go_by_name_and_new_ones_are_added(feed: NewFeed) -> None:
    events = feed("parquet")
    events.load(write(events, "a.parquet", {"a": [1], "b": ["x"]}))
    loaded = events.load(write(events, "b.parquet", {"c": [2.5], "b": ["y"], "a": [2]}))
    assert [(row["a"], row["b"], row["c"]) for row in loaded.rows] == [(2, "y", 2.5)]
    assert events.types() == {"a": "bigint", "b": "string", "c": "double"}


def test_a_narrower_type_fits_and_a_wider_is_rescued_where_it_must_be(feed: NewFeed) -> None:
    """INT32 for BIGINT is an error of Spark 3.5's reader; 3.5 for a bigint must never become 3."""
    events = feed("parquet")
    events.load(write(events, "a.parquet", {"n": pa.array([1], pa.int64()), "t": ["x"]}))
    loaded = events.load(
        write(events, "b.parquet", {"n": pa.array([7], pa.int32()), "t": ["y"]}),
        write(events, "c.parquet", {"n": pa.array([3.5, 4.0], pa.float64()), "t": ["z", "z"]}),
        write(events, "d.parquet", {"n": ["12", "twelve"], "t": ["q", "q"]}),
    )
    assert sorted(row["n"] for row in loaded.rows if row["n"] is not None) == [4, 7, 12]
    assert sorted(each["n"] for each in loaded.rescued()) == ["3.5", "twelve"]


@pytest.mark.parametrize("name", ["a.b", "a b", "a`b", "🎁", "select", "_metadata", "A-Z", "1", "x;DROP TABLE t"])
def test_any_name_is_a_column(feed: NewFeed, name: str) -> None:
    events = feed("parquet")
    row = events.load(write(events, "a.parquet", {name: [1], "other": [2]})).one()
    assert (row[name], row["other"], row["_rescued_data"]) == (1, 2, None)


def test_old_int96_times_are_the_same_instants(feed: NewFeed) -> None:
    events = feed("parquet")
    when = dt.datetime(2024, 2, 29, 12, 30, 15, 123456)  # noqa: DTZ001  # INT96 knows no zone
    entry = write(
        events, "a.parquet", {"at": pa.array([when], pa.timestamp("us"))}, use_deprecated_int96_timestamps=True
    )
    events.load(entry)
    shown = events.spark.sql(f"SELECT CAST(at AS STRING) FROM {events.loader.table}").collect()[0][0]
    assert shown == "2024-02-29 12:30:15.123456"


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "snappy"])
def test_pages_may_be_compressed(feed: NewFeed, compression: str) -> None:
    events = feed("parquet")
    entry = write(events, "a.parquet", {"a": list(range(1000))}, compression=compression)
    assert events.load(entry).audit.rows == 1000


def test_a_file_without_rows_adds_none(feed: NewFeed) -> None:
    events = feed("parquet")
    loaded = events.load(
        write(events, "a.parquet", {"a": pa.array([], pa.int64())}), write(events, "b.parquet", {"a": [1]})
    )
    assert len(loaded.rows) == 1
