"""CSV files that have to be told about: lines above the header, comments, empty values, local numbers and dates."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from autoloader.lib.errors import FileError
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def options(**values: object) -> dict[str, object]:
    return {"options": values}


def test_a_file_without_a_header_loses_no_row(feed: NewFeed) -> None:
    rows = feed()
    loaded = rows.load(rows.sniffed("a.csv", "1,Ann,2.5\n2,Bob,3.5\n"))
    assert rows.types() == {"_c0": "bigint", "_c1": "string", "_c2": "double"}
    assert sorted(row["_c0"] for row in loaded.rows) == [1, 2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_above_the_header_are_no_rows(feed: NewFeed, end: str) -> None:
    text = end.join(
        ["Report of “May", "", 'id,name,"n', 'o"', '1,"An""n, a', 'b",5', "2,Bob,6", "", "3,x", "4,y,7,8", ""]
    )
    rows = feed(format=options(skip_lines=2))
    loaded = rows.load(rows.sniffed("a.csv", text), rows.sniffed("b.csv", text.encode("utf-16")),
                       rows.sniffed("c.dat", gzip.compress(text.encode("utf-8-sig"))))  # fmt: skip
    (third,) = [name for name in rows.types() if name not in ("id", "name")]
    for name in ("a.csv", "b.csv", "c.dat"):
        mine = {row["id"]: row for row in loaded.rows if row["_source_file"].endswith(name)}
        assert set(mine) == {1, 2, 3, 4}
        assert mine[1]["name"].replace("\r\n", "\n").replace("\r", "\n") == 'An"n, a\nb'
        assert (mine[2]["name"], mine[2][third], mine[2]["_rescued_data"]) == ("Bob", 6, None)
        assert "_corrupt_record" in mine[3]["_rescued_data"]
        assert "4,y,7,8" in mine[4]["_rescued_data"]


def test_lines_above_rows_without_a_header(feed: NewFeed) -> None:
    rows = feed(format=options(skip_lines=1, header=False, quote=""))
    loaded = rows.load(rows.sniffed("a.csv", 'made by "x\n1,"a\n2,b'))
    assert sorted((row["_c0"], row["_c1"]) for row in loaded.rows) == [(1, '"a'), (2, "b")]


def test_lines_of_comment_are_no_rows_wherever_they_stand(feed: NewFeed) -> None:
    text = "# made, by\nid,name\n1,Ann\n# 2,Bob\n3,#Cy\n"
    for skipped in (0, 1):
        rows = feed(format=options(comment="#", skip_lines=skipped))
        above = 'above, "\n' * skipped
        loaded = rows.load(rows.sniffed(f"{skipped}.csv", above + text))
        assert sorted((row["id"], row["name"]) for row in loaded.rows) == [(1, "Ann"), (3, "#Cy")]
        assert loaded.rescued() == []


def test_several_texts_mean_no_value(feed: NewFeed) -> None:
    rows = feed(format=options(null_value="-", null_values=["n/a", "NULL"]))
    loaded = rows.load(rows.sniffed("a.csv", "id,n\n1,5\n2,-\n3,n/a\n4,NULL\n5,x-\n6,7\n" + "8,9\n" * 200))
    assert rows.types() == {"id": "bigint", "n": "bigint"}
    assert {row["id"]: row["n"] for row in loaded.rows if row["id"] < 8} == {
        1: 5, 2: None, 3: None, 4: None, 5: None, 6: 7,
    }  # fmt: skip
    assert loaded.rescued() == [{"n": "x-"}]


def test_decimal_commas_and_points_between_thousands(feed: NewFeed) -> None:
    rows = feed(format=options(decimal_separator=",", thousands_separator="."))
    text = "id;x;big;d\n1;1.234,5;1.234.567;12345678901234567,25\n2;0,25;12;1,5\n"
    loaded = rows.load(rows.sniffed("a.csv", text))
    assert rows.types() == {"id": "bigint", "x": "double", "big": "bigint", "d": "decimal(38,2)"}
    first, second = sorted(loaded.rows, key=lambda row: row["id"])
    assert (first["x"], first["big"], first["d"]) == (1234.5, 1234567, Decimal("12345678901234567.25"))
    assert (second["x"], second["big"], second["d"]) == (0.25, 12, Decimal("1.50"))
    more = rows.load(rows.sniffed("b.csv", "id;x;big;d\n3;1.5;12.34;1.50\n"))
    assert more.rescued() == [{"x": "1.5", "big": "12.34", "d": "1.50"}]  # with a point they would be other numbers


def test_dates_and_times_in_a_form_of_their_own(feed: NewFeed) -> None:
    rows = feed(format=options(date_format="dd.MM.yyyy", timestamp_format="dd.MM.yyyy HH:mm[:ss]"))
    text = "d,t\n05.01.2024,05.01.2024 10:30\n29.02.2024,06.01.2024 10:30:15\n"
    loaded = rows.load(rows.sniffed("a.csv", text))
    assert rows.types() == {"d": "date", "t": "timestamp"}
    assert sorted(row["d"] for row in loaded.rows) == [date(2024, 1, 5), date(2024, 2, 29)]
    assert sorted(str(row["t"]) for row in loaded.rows) == ["2024-01-05 10:30:00", "2024-01-06 10:30:15"]
    more = rows.load(rows.sniffed("b.csv", "d,t\n30.02.2024,2024-01-05 10:30\n2024-01-05,\n"))
    assert sorted(map(str, more.rescued())) == [
        "{'d': '2024-01-05'}", "{'d': '30.02.2024', 't': '2024-01-05 10:30'}",
    ]  # fmt: skip


def test_digits_are_dates_where_that_is_how_dates_are_written(feed: NewFeed) -> None:
    rows = feed(format=options(date_format="yyyyMMdd"))
    loaded = rows.load(rows.sniffed("a.csv", "d,n\n20240105,5\n20240106,6\n"))
    assert rows.types() == {"d": "date", "n": "bigint"}
    assert sorted(row["d"] for row in loaded.rows) == [date(2024, 1, 5), date(2024, 1, 6)]


def test_a_file_that_is_not_utf_8_further_down_is_set_aside_until_somebody_says_what_it_is(feed: NewFeed) -> None:
    data = b"id,name\n" + b"1,plain\n" * 20_000 + "2,größe\n".encode("cp1252")
    rows = feed()
    good = rows.sniffed("good.csv", "id,name\n5,größe\n")
    rows.load(good)
    bad = rows.sniffed("late.csv", data)
    with pytest.raises(FileError) as raised:
        rows.load(good, bad)
    assert (raised.value.code, raised.value.path) == ("encoding_mismatch", bad.file.address)
    told = feed(format=options(encoding="windows-1252"))
    loaded = told.load(told.sniffed("late.csv", data))
    assert [row["name"] for row in loaded.rows if row["id"] == 2] == ["größe"]


def test_the_character_for_unreadable_bytes_may_stand_in_a_file_itself(feed: NewFeed) -> None:
    rows = feed()
    mark = rows.sniffed("mark.csv", "id,name\n1,\ufffd\n")
    with pytest.raises(FileError):  # it is suspected, and its bytes are looked at
        rows.load(mark)
    assert rows.loader.misencoded([mark]) == {}
    assert rows.load(mark).one()["name"] == "\ufffd"


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_the_encoding_is_found_out_and_read(feed: NewFeed, encoding: str) -> None:
    rows = feed()
    row = rows.load(rows.sniffed("a.csv", "id,größe\n1,5 €\n".encode(encoding))).one()
    assert (row["id"], row["größe"]) == (1, "5 €")
