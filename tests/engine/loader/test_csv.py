"""CSV files to rows: names decide, never positions, and nothing gets lost."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from tests.engine.loader.feed import Feed, csv_shape

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def test_rows_arrive_with_types_and_where_they_came_from(feed: NewFeed) -> None:
    orders = feed()
    entry = orders.csv("a.csv", "id,amount,day,at,ok,name\n1,2.50,2024-02-29,2024-01-01T10:00:00Z,true,Ann\n")
    row = orders.load(entry).one()
    assert orders.types() == {
        "id": "bigint",
        "amount": "double",
        "day": "date",
        "at": "timestamp",
        "ok": "boolean",
        "name": "string",
    }
    assert (row["id"], row["amount"], row["ok"], row["name"]) == (1, 2.5, True, "Ann")
    ours = ["_source_file", "_file_modified_at", "_batch_id", "_loaded_at", "_rescued_data"]
    assert list(row) == [*orders.types(), *ours]
    assert row["_source_file"] == entry.file.address
    assert row["_rescued_data"] is None


def test_a_column_is_found_by_its_name_in_any_order_and_case(feed: NewFeed) -> None:
    people = feed()
    people.load(people.csv("a.csv", "id,name\n1,Ann\n"))
    loaded = people.load(people.csv("b.csv", "NAME,Id\nBob,2\n"), evolve=False)
    assert [(row["id"], row["name"]) for row in loaded.rows] == [(2, "Bob")]


def test_files_of_several_shapes_are_one_commit_and_few_files(feed: NewFeed) -> None:
    people = feed()
    first = [people.csv(f"{at}.csv", f"id,name,x{at % 9}\n{at},n{at},{at}\n") for at in range(90)]
    loaded = people.load(*first)
    assert loaded.staged.added_records == 90
    assert loaded.staged.added_files <= 2
    assert set(loaded.audit.files) == {entry.file.address for entry in first}
    assert {row["x3"] for row in loaded.rows if row["x3"] is not None} == {at for at in range(90) if at % 9 == 3}


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("multiline", ["true", "false"])
def test_a_byte_order_mark_is_no_part_of_a_name_or_value(feed: NewFeed, mark: str, multiline: str) -> None:
    marked = feed()
    row = marked.load(marked.csv("a.csv", f'{mark}"id",name\n1,Ann\n', multiline=multiline)).one()
    assert (row["id"], row["name"], row["_rescued_data"]) == (1, "Ann", None)


def test_without_a_header_the_mark_does_not_stay_in_the_first_value(feed: NewFeed) -> None:
    bare = feed()
    entry = bare.write("a.csv", "\ufeff1,Ann\n2,Bob\n", csv_shape("_c0", "_c1", header="false"))
    assert [(row["_c0"], row["_c1"]) for row in bare.load(entry).rows] == [(1, "Ann"), (2, "Bob")]


def test_quoted_commas_quotes_and_newlines(feed: NewFeed) -> None:
    notes = feed()
    entry = notes.csv("a.csv", 'id,note\n1,"a, ""b""\nsecond line"\n2,plain\n', multiline="true")
    assert [row["note"] for row in sorted(notes.load(entry).rows, key=lambda row: row["id"])] == [
        'a, "b"\nsecond line',
        "plain",
    ]


def test_short_and_long_rows_are_kept_with_their_text(feed: NewFeed) -> None:
    rows = feed()
    loaded = rows.load(rows.csv("a.csv", "id,a,b\n1,x,y\n2,x\n3,x,y,z\n"))
    assert sorted((row["id"], row["a"], row["b"]) for row in loaded.rows if row["id"] != 2) == [
        (1, "x", "y"),
        (3, "x", "y"),
    ]
    assert loaded.rescued() == [{"_corrupt_record": "2,x"}, {"_corrupt_record": "3,x,y,z"}]
    assert loaded.audit.files[next(iter(loaded.audit.files))].rescued_rows == 2


def test_a_header_repeated_as_a_row_stays_a_row(feed: NewFeed) -> None:
    rows = feed()
    body = "".join(f"{at},x\n" for at in range(150))
    loaded = rows.load(rows.csv("a.csv", f"id,a\n{body}id,a\n"))
    assert rows.types()["id"] == "bigint"
    assert loaded.rescued() == [{"id": "id"}]
    assert [row["a"] for row in loaded.rows if row["id"] is None] == ["a"]


def test_what_does_not_fit_its_column_is_rescued_as_it_was(feed: NewFeed) -> None:
    rows = feed(
        format={
            "schema": {
                "inference": "manual",
                "schema_json": "i bigint, n int, d double, m decimal(6,2), t timestamp, y date, b boolean, s string",
            }
        }
    )
    header = "i,n,d,m,t,y,b,s\n"
    misfits = {
        "i": ["3.5", "007", "9223372036854775808", "+1"],
        "n": ["2147483648"],
        "d": ["1e400", "0.12345678901234567890", "5d"],
        "m": ["1.005", "12345.00"],
        "t": ["1/22/20 17:00", "2024-01-01T10:00:00.123456789Z"],
        "y": ["2023-02-29", "01.02.2024"],
        "b": ["yes"],
    }
    lines = [
        ",".join(text if name == column else "" for name in header.strip().split(","))
        for column, texts in misfits.items()
        for text in texts
    ]
    rows.evolve([])
    loaded = rows.load(rows.csv("a.csv", header + "\n".join(lines) + "\n"))
    expected = [{column: text} for column, texts in misfits.items() for text in texts]
    assert sorted(loaded.rescued(), key=str) == sorted(expected, key=str)
    assert all(row[column] is None for row in loaded.rows for column in misfits)


def test_a_type_is_what_fits_99_of_100_values(feed: NewFeed) -> None:
    rows = feed()
    body = "".join(f"{at},{at},{at}.5,00{at}\n" for at in range(99))
    loaded = rows.load(rows.csv("a.csv", f"a,b,c,d\n{body}n/a,n/a,n/a,7\n"))
    assert rows.types() == {"a": "bigint", "b": "bigint", "c": "double", "d": "string"}
    assert loaded.rescued() == [{"a": "n/a", "b": "n/a", "c": "n/a"}]
    mixed = feed()
    body = "".join(f"{at}\n" for at in range(90))
    mixed.load(mixed.csv("b.csv", f"a\n{body}" + "n/a\n" * 10))
    assert mixed.types() == {"a": "string"}


def test_many_digits_make_a_decimal_and_empty_columns_are_text(feed: NewFeed) -> None:
    rows = feed()
    row = rows.load(rows.csv("a.csv", "m,k,e\n12345678901234567.891,12345678901234567890,\n")).one()
    assert rows.types() == {"m": "decimal(38,3)", "k": "string", "e": "string"}
    assert (str(row["m"]), row["k"], row["e"]) == ("12345678901234567.891", "12345678901234567890", None)


def test_new_columns_are_named_before_anything_is_staged(feed: NewFeed) -> None:
    rows = feed()
    rows.load(rows.csv("a.csv", "id\n1\n"))
    second = rows.csv("b.csv", "id,Fresh,fresh2\n2,x,7\n")
    state = rows.loader.state()
    assert state is not None
    found = rows.loader.headers([second], state)
    assert [(str(each.change), each.files) for each in found] == [
        ("Fresh", (second.file.address,)),
        ("fresh2", (second.file.address,)),
    ]
    row = rows.load(second).one()
    assert (row["Fresh"], row["fresh2"], row["_rescued_data"]) == ("x", 7, None)
    assert rows.types() == {"id": "bigint", "Fresh": "string", "fresh2": "bigint"}


def test_a_name_that_the_table_has_not_is_rescued_when_nothing_evolves(feed: NewFeed) -> None:
    rows = feed()
    rows.load(rows.csv("a.csv", "id\n1\n"))
    loaded = rows.load(rows.csv("b.csv", "id,more,_file_path,_corrupt_record\n2,x,y,z\n3,,,\n"), evolve=False)
    assert loaded.rescued() == [{"more": "x", "_file_path_": "y", "_corrupt_record_": "z"}]
    assert [str(finding.change) for finding in loaded.audit.findings] == ["more string"]


def test_columns_called_like_ours_or_icebergs_are_rescued(feed: NewFeed) -> None:
    rows = feed()
    loaded = rows.load(rows.csv("a.csv", "id,_source_file,_FILE,_metadata\n1,x,y,z\n"))
    assert rows.types() == {"id": "bigint", "_metadata": "string"}
    assert loaded.rescued() == [{"_source_file": "x", "_FILE": "y"}]
    assert loaded.one()["_metadata"] == "z"


def test_files_with_a_header_only_write_nothing(feed: NewFeed) -> None:
    rows = feed()
    rows.load(rows.csv("a.csv", "id\n1\n"))
    before = rows.loader.state()
    loaded = rows.load(rows.csv("b.csv", "id\n"), rows.csv("c.csv", "id\n\n"))
    assert loaded.staged.snapshot_id is None
    assert dict(loaded.audit.files) == {}
    assert rows.loader.state() == before


def test_gzip_and_other_encodings(feed: NewFeed) -> None:
    rows = feed()
    text = "id,näme\n1,Jürgen\n"
    loaded = rows.load(
        rows.write("a.csv.gz", gzip.compress(text.encode()), csv_shape("id", "näme")),
        rows.csv("b.csv", text.encode("windows-1252"), encoding="windows-1252"),
        rows.csv("c.csv", text.encode("utf-16"), encoding="UTF-16"),
    )
    assert [row["näme"] for row in loaded.rows] == ["Jürgen"] * 3


def test_a_null_word_is_no_value(feed: NewFeed) -> None:
    rows = feed(format={"options": {"null_value": "NA"}})
    loaded = rows.load(rows.csv("a.csv", "id,a\n1,NA\nNA,x\n"))
    assert rows.types()["id"] == "bigint"
    assert sorted((row["id"] or 0, row["a"]) for row in loaded.rows) == [(0, "x"), (1, None)]
    assert loaded.rescued() == []


def test_columns_can_be_renamed_retyped_and_dropped(feed: NewFeed) -> None:
    rows = feed(format={"columns": [{"from": "a", "to": "b", "type": "string"}, {"from": "c", "drop": True}]})
    loaded = rows.load(rows.csv("a.csv", "a,c,d\n1,secret,2\n"))
    assert rows.types() == {"b": "string", "d": "bigint"}
    assert (loaded.one()["b"], loaded.one()["d"], loaded.one()["_rescued_data"]) == ("1", 2, None)


def test_hints_decide_types_and_add_columns(feed: NewFeed) -> None:
    rows = feed(format={"schema": {"hints": {"id": "string", "later": "decimal(10,2)"}}})
    rows.load(rows.csv("a.csv", "id\n1\n"))
    assert rows.types() == {"id": "string", "later": "decimal(10,2)"}


def test_json_in_a_cell_fills_a_nested_column(feed: NewFeed) -> None:
    rows = feed(format={"schema": {"hints": {"j": "struct<a:bigint,b:array<double>>"}}})
    loaded = rows.load(
        rows.csv("a.csv", 'id|j\n1|{"a":1,"b":[1.5]}\n2|{"a":1} x\n3|{"a":1,"z":2}\n', delimiter="|", quote="'")
    )
    values = {row["id"]: row["j"] for row in loaded.rows}
    assert values == {1: {"a": 1, "b": [1.5]}, 2: None, 3: {"a": 1, "b": None}}
    assert sorted(loaded.rescued(), key=str) == [{"j": '{"a":1,"z":2}'}, {"j": '{"a":1} x'}]


def test_a_thousand_columns(feed: NewFeed) -> None:
    rows = feed()
    names = [f"column_{at}" for at in range(1000)]
    values = ",".join(map(str, range(1000)))
    loaded = rows.load(rows.csv("a.csv", ",".join(names) + f"\n{values}\n"))
    assert [loaded.one()[name] for name in names] == list(range(1000))
