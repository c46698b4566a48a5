"""Files of any name, and those that Spark would leave out without a word."""

from __future__ import annotations

from tests.corpus.case import Feed, File, columns, refused, skipped, text
from tests.corpus.csv_dialects import row

ODD = (
    "with space.csv", "per%20cent.csv", "100%.csv", "plus+.csv", "hash#.csv", "quest?.csv", "[1].csv", "{a,b}.csv",
    "star*.csv", "back\\slash.csv", "quote'.csv", 'double".csv', "ünï-日本-😀.csv", "a=b&c.csv", "semi;colon.csv",
    "new\nline.csv", "no-ending", "UPPER.CSV", "year=2024/month=01/part.csv", "deep/er/and deeper/x.csv",
    "dir.csv/x.csv", "-dash.csv", "~tilde.csv", "$dollar.csv", "trailing .csv", "tab\t.csv", "$(x).csv", "a..b.csv",
    "%2F.csv", "e\u0301.csv", "é.csv",
)  # fmt: skip


def _file(at: int, name: str) -> File:
    return text(name, f"id,a,b\n{at},x,y\n", row(at, "x", "y"))


NAMES = Feed(
    "names",
    (
        *(_file(at, name) for at, name in enumerate(ODD)),
        skipped("_underscore.csv", "id,a,b\n1,x,y\n", "hidden name"),
        skipped(".dot.csv", "id,a,b\n1,x,y\n", "hidden name"),
        skipped("_temporary/0/part.csv", "id,a,b\n1,x,y\n", "hidden name"),
        skipped("half.csv._COPYING_", "id,a,b\n1,x,y\n", "hidden name"),
        refused("colon:.csv", "id,a,b\n1,x,y\n", "unreadable_name"),
    ),
    {"type": "csv", **columns("id bigint, a string, b string")},
)
