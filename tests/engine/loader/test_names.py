"""Whatever things are called: tables, columns, files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoloader.lib.errors import FileError
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

FILES = [
    "plain.csv", "with space.csv", "per%20cent.csv", "100%.csv", "plus+.csv", "hash#.csv", "quest?.csv", "[1].csv",
    "{a,b}.csv", "star*.csv", "back\\slash.csv", "quote'.csv", 'double".csv', "ünï-日本-😀.csv",
    "a=b&c.csv", "semi;colon.csv", "key=1/part.csv", "deep/er/x.csv",
    "tilde~.csv", "comma,.csv", "at@.csv", "new\nline.csv",
]  # fmt: skip


def test_files_of_any_name_load_and_keep_their_address(feed: NewFeed) -> None:
    odd = feed()
    entries = [odd.csv(name, f"id,name\n{at},x\n") for at, name in enumerate(FILES)]
    loaded = odd.load(*entries)
    assert {row["id"]: row["_source_file"] for row in loaded.rows} == {
        at: entry.file.address for at, entry in enumerate(entries)
    }
    assert set(loaded.audit.files) == {entry.file.address for entry in entries}


@pytest.mark.parametrize("name", ["colon:.csv", "_hidden.csv", ".hidden.csv"])
def test_a_name_that_spark_cannot_open_is_that_files_own_error(feed: NewFeed, name: str) -> None:
    odd = feed()
    odd.load(odd.csv("a.csv", "id,name\n1,x\n"))
    with pytest.raises(FileError) as raised:
        odd.load(odd.csv(name, "id,name\n2,x\n"))
    assert raised.value.path.endswith(name)
    assert "Rename" in raised.value.hint


@pytest.mark.parametrize("name", FILES[:4] + FILES[6:12])
def test_one_file_of_an_odd_name_among_others_is_read_alone(feed: NewFeed, name: str) -> None:
    odd = feed()
    for at in range(3):
        odd.csv(f"other-{at}.csv", "id,name\n7,other\n")
    assert [row["id"] for row in odd.load(odd.csv(name, "id,name\n1,x\n")).rows] == [1]


@pytest.mark.parametrize(
    "table", ["select", "a b", "a-b", "table", "1st", "naïve", "x;DROP", "a.csv", "a.refs", "tab`tick", "Group"]
)
def test_a_table_of_any_name(feed: NewFeed, table: str) -> None:
    odd = feed(table=table, database="odd names")
    odd.load(odd.csv("a.csv", "id,name\n1,x\n"))
    odd.load(odd.csv("b.csv", "id,name,more\n2,y,z\n"))
    assert sorted(row["id"] for row in odd.rows()) == [1, 2]


@pytest.mark.parametrize(
    "column", ["select", "a b", "a.b", "a`b", "😀", "x'y", "x;DROP TABLE t", "1", "-", "ORDER", "a\tb"]
)
def test_a_column_of_any_name(feed: NewFeed, column: str) -> None:
    odd = feed()
    odd.load(odd.csv("a.csv", "id\n1\n"))
    row = odd.load(odd.csv("b.csv", f"id|{column}\n2|v\n", delimiter="|")).one()
    assert (row["id"], row[column.strip()], row["_rescued_data"]) == (2, "v", None)
