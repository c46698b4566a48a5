"""Names that columns of real files have: each lands somewhere, and no value is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoloader.lib.errors import FileError
from ingestions.engine import config
from ingestions.engine.formats.shape import Shape
from ingestions.engine.formats.sniff import sniff
from ingestions.engine.ledger import Entry
from ingestions.engine.sources.base import RemoteFile
from tests.engine.loader.feed import Feed, Loaded

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

LONG = "n" * 1_000
#: names that columns get as they are.
KEPT = [
    "select", "a.b", "naïve 日本 😀", LONG, "_metadata", "a`b", "'", "1", "a b", "table", "_c0", "NULL", "/", "*", 'a"b'
]  # fmt: skip
#: names that a table of ours or of Iceberg's cannot give to a feed.
OURS = ["_batch_id", "_SOURCE_FILE", "_loaded_at", "_rescued_data", "_file", "_POS", "_partition"]


class _Disk:
    def read_range(self, address: str, start: int, length: int) -> bytes:
        with open(address.removeprefix("file://"), "rb") as file:
            content = file.read()
        return content[start:][:length] if start >= 0 else content[start:]


def sniffed(feed: Feed, name: str) -> Shape:
    path = feed.folder / name
    file = RemoteFile(f"file://{path}", "v", path.stat().st_size, feed.entry(name, Shape("csv")).file.modified_at)
    return sniff(_Disk(), file, feed.config.format)


def put(feed: Feed, format_: str, name: str, columns: list[tuple[str, Any]]) -> Entry:
    """A file with one row of these columns, and its shape as a run finds it out."""
    path = feed.folder / f"{name}.{format_}"
    if format_ == "csv":
        quoted = ['"' + text.replace('"', '""') + '"' for text, _ in columns]
        path.write_text(",".join(quoted) + "\n" + ",".join(str(value) for _, value in columns) + "\n")
    elif format_ == "json":
        path.write_text("{" + ",".join(f"{json.dumps(text)}:{json.dumps(value)}" for text, value in columns) + "}\n")
    else:
        pq.write_table(pa.table([pa.array([value]) for _, value in columns], names=[text for text, _ in columns]), path)
    return feed.entry(path.name, sniffed(feed, path.name))


def everything(loaded: Loaded) -> list[str]:
    """The values of the one row, wherever they are."""
    row = loaded.one()
    ours = ("_source_file", "_file_modified_at", "_batch_id", "_loaded_at", "_rescued_data")
    values = [str(value) for name, value in row.items() if name not in ours and value is not None]
    return sorted(values + [text for each in loaded.rescued() for text in each.values()])


FORMATS = pytest.mark.parametrize("format_", ["csv", "json", "parquet"])


@FORMATS
def test_names_of_any_kind_are_kept_also_when_they_come_later(feed: NewFeed, format_: str) -> None:
    named = (
        {"format": {"options": {"header": True}}} if format_ == "csv" else {}
    )  # a "1" above numbers looks like a row
    rows = feed(format_, **named)
    half = len(KEPT) // 2
    rows.load(put(rows, format_, "a", [("id", 0), *((name, at) for at, name in enumerate(KEPT[:half]))]))
    later = put(rows, format_, "b", [("id", 1), *((name, at) for at, name in enumerate(KEPT))])
    loaded = rows.load(later)
    if format_ == "json":  # its keys are met in its rows, and the batch is staged again
        rows.loader.alter([finding.change for finding in loaded.audit.findings])
        loaded = rows.load(later)
    assert set(rows.types()) == {"id", *KEPT}
    row = loaded.one()
    assert [row[name] for name in KEPT] == list(range(len(KEPT)))
    assert row["_rescued_data"] is None


@FORMATS
@pytest.mark.parametrize("first", [True, False])
def test_names_of_ours_and_icebergs_lose_no_value(feed: NewFeed, format_: str, first: bool) -> None:
    rows = feed(format_)
    if not first:
        rows.load(put(rows, format_, "a", [("id", 0)]))
    loaded = rows.load(put(rows, format_, "b", [("id", 9), *((name, 10 + at) for at, name in enumerate(OURS))]))
    assert everything(loaded) == sorted(map(str, [9, *range(10, 10 + len(OURS))]))
    assert loaded.one()["id"] == 9


@pytest.mark.parametrize("format_", ["json", "parquet"])
@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_is_no_column_and_its_value_is_rescued(feed: NewFeed, format_: str, name: str) -> None:
    rows = feed(format_)
    loaded = rows.load(put(rows, format_, "a", [("id", 1), (name, 7)]))
    assert rows.types() == {"id": "bigint"}
    assert loaded.rescued() == [{name: "7"}]


def test_a_blank_name_in_a_csv_gets_one_of_its_own(feed: NewFeed) -> None:
    rows = feed("csv")
    loaded = rows.load(put(rows, "csv", "a", [("", 1), ("x", 2), ("  ", 3)]))
    assert rows.types() == {"_c0": "bigint", "x": "bigint", "_c2": "bigint"}
    assert everything(loaded) == ["1", "2", "3"]


def test_names_that_differ_in_case_only(feed: NewFeed) -> None:
    rows = feed("csv")
    rows.load(put(rows, "csv", "a", [("id", 1), ("ID", 2), ("iD", 3)]))
    assert rows.types() == {"id": "bigint", "ID_2": "bigint", "iD_3": "bigint"}
    records = feed("json")
    loaded = records.load(put(records, "json", "a", [("id", 1), ("ID", 2), ("who", {"a": 1, "A": 2})]))
    assert set(records.types()) == {"id", "who"}
    assert {"ID": "2"}.items() <= loaded.rescued()[0].items()
    assert json.loads(loaded.rescued()[0]["who"]) == {"a": 1, "A": 2}
    with pytest.raises(FileError, match="upper and lower case only: id"):
        put(feed("parquet"), "parquet", "a", [("id", 1), ("ID", 2)])


def test_names_that_stand_twice(feed: NewFeed) -> None:
    rows = feed("csv")
    rows.load(put(rows, "csv", "a", [("id", 1), ("id", 2)]))
    assert rows.types() == {"id": "bigint", "id_2": "bigint"}
    records = feed("json")
    records.load(put(records, "json", "a", [("id", 1)]))
    (row,) = records.load(put(records, "json", "b", [("id", 2), ("id", 3)])).rescued()
    assert row["_corrupt_record"] == '{"id":2,"id":3}'


def test_a_renamed_column_may_have_had_any_name(feed: NewFeed) -> None:
    rules = [{"from": "_batch_id", "to": "batch"}, {"from": "", "to": "blank"}, {"from": "_metadata", "to": "meta"}]
    for format_ in ("json", "parquet"):
        rows = feed(format_, format={"columns": rules})
        rows.load(put(rows, format_, "a", [("_batch_id", 1), ("", 2), ("_metadata", 3)]))
        (row,) = rows.rows()
        assert (row["batch"], row["blank"], row["meta"], row["_rescued_data"]) == (1, 2, 3, None), format_


def test_the_configuration_has_room_for_such_names() -> None:
    for name in (*KEPT, *OURS):
        assert config.ColumnRule.model_validate({"from": name, "drop": True}).from_ == name
