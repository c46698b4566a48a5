"""What a configuration says about columns: hints inside of columns, renaming, dropping, order, columns of the path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.ledger import Entry
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def parquet(feed: Feed, name: str, **columns: Any) -> Entry:
    path = feed.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    pq.write_table(table, path)
    names = {"int64": "bigint", "string": "string", "int32": "int"}
    return feed.entry(name, Shape("parquet", tuple(ShapeColumn(f.name, names[str(f.type)]) for f in table.schema)))


def test_hints_reach_into_columns_also_before_the_files_show_them(feed: NewFeed) -> None:
    hints = {
        "id": "int",
        "who.age": "int",
        "items.element.price": "decimal(10,2)",
        "later.x": "date",
        "`a.b`": "double",
    }
    rows = feed("json", format={"schema": {"hints": hints}})
    record = {"id": 1, "who": {"age": 7, "n": "x"}, "items": [{"price": 1.5}], "a.b": 2}
    loaded = rows.load(rows.json("a.json", record))
    assert rows.types() == {
        "id": "int",
        "who": "struct<age:int,n:string>",
        "items": "array<struct<price:decimal(10,2)>>",
        "a.b": "double",
        "later": "struct<x:date>",
    }
    assert loaded.rescued() == []
    second = rows.load(rows.json("b.json", {"id": 2, "later": {"x": "2024-01-01"}})).one()
    assert second["later"] == {"x": date(2024, 1, 1)}


RULES = {
    "columns": [
        {"from": "a", "to": "alpha", "type": "string"},
        {"from": "b", "drop": True},
        {"from": "_batch_id", "to": "their_batch"},
    ],
    "column_order": ["d", "alpha"],
}


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_columns_are_renamed_retyped_dropped_and_reordered(feed: NewFeed, format_: str) -> None:
    rows = feed(format_, format=RULES)
    if format_ == "csv":
        entry = rows.csv("a.csv", "a,b,c,d\n1,2,3,4\n")
    elif format_ == "json":
        entry = rows.json("a.json", {"a": 1, "b": 2, "c": 3, "d": 4})
    else:
        entry = parquet(rows, "a.parquet", a=[1], b=[2], c=[3], d=[4])
    loaded = rows.load(entry)
    wanted = {"d": "bigint", "alpha": "string", "c": "bigint"}
    assert {name: type_ for name, type_ in rows.types().items() if name != "their_batch"} == wanted
    assert list(rows.types())[:2] == ["d", "alpha"]
    row = loaded.one()
    assert (row["alpha"], row["c"], row["d"], row["_rescued_data"]) == ("1", 3, 4, None)


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_hive_folders_are_columns_like_others(feed: NewFeed, format_: str) -> None:
    rows = feed(format_, format={"path_columns": "hive", "schema": {"hints": {"month": "int"}}})

    def put(folder: str, number: int) -> Entry:
        name = f"{folder}/a.{format_}"
        if format_ == "csv":
            return rows.csv(name, f"id\n{number}\n")
        return rows.json(name, {"id": number}) if format_ == "json" else parquet(rows, name, id=[number])

    rows.load(
        put("dt=2024-01-01/month=01/city=New%20York+", 1),
        put("dt=2024-01-02/month=12/city=__HIVE_DEFAULT_PARTITION__", 2),
        put("dt=2024-01-02", 3),
    )
    assert rows.types() == {"id": "bigint", "dt": "date", "month": "int", "city": "string"}
    found = sorted((row["id"], row["dt"], row["month"], row["city"]) for row in rows.rows())
    assert found == [
        (1, date(2024, 1, 1), 1, "New York+"),
        (2, date(2024, 1, 2), 12, None),
        (3, date(2024, 1, 2), None, None),
    ]
    later = rows.load(put("dt=soon/hour=100%", 4))
    assert later.one()["hour"] == "100%"
    assert later.rescued() == [{"dt": "soon"}]


def test_a_value_of_the_row_goes_before_that_of_its_address(feed: NewFeed) -> None:
    rows = feed("json", format={"path_columns": "{region}/{yyyy}"})
    loaded = rows.load(rows.json("eu/2024/a.json", {"id": 1, "region": "us"}, {"id": 2}, {"id": 3, "region": ""}))
    assert [(row["id"], row["region"], row["yyyy"]) for row in sorted(loaded.rows, key=lambda row: row["id"])] == [
        (1, "us", 2024),
        (2, "eu", 2024),
        (3, "eu", 2024),
    ]
    assert loaded.rescued() == []


def test_a_typed_column_of_a_file_goes_before_its_address_as_a_whole(feed: NewFeed) -> None:
    rows = feed("parquet", format={"path_columns": "hive"})
    loaded = rows.load(parquet(rows, "id=9/k=1/a.parquet", id=[1, None]))
    assert sorted((row["id"] or 0, row["k"]) for row in loaded.rows) == [(0, 1), (1, 1)]


def test_the_sample_is_as_large_as_it_is_said(feed: NewFeed) -> None:
    rows = feed("csv", format={"schema": {"sample_files": 1}})
    entries = [rows.csv("a.csv", "v\n1\n"), *(rows.csv(f"b{at}.csv", "v\nx\n") for at in range(3))]
    assert [column.type for column in rows.loader.infer(entries)] == ["bigint"]
    wide = feed("csv")
    assert [column.type for column in wide.loader.infer(entries)] == ["string"]
