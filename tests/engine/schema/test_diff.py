"""A row per difference between files and table, nested fields too."""

from __future__ import annotations

import pytest

from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Change, Kind, can_grow, diff, dotted, field_at, promotion, still_open

#: table, files, what is told: kind, path, type.
DIFFERENCES = [
    ("a int", "a int", []),
    ("a int", "a int, b string", [("added", "b", "string")]),
    ("a int, b string", "a int", [("removed", "b", None)]),
    ("a int", "A int", [("case", "a", "int")]),
    ("a int", "b int, B string", [("added", "b", "int"), ("removed", "a", None)]),
    ("a bigint", "a int", []),
    ("a int", "a bigint", [("widened", "a", "bigint")]),
    ("a int", "A bigint", [("case", "a", "int"), ("widened", "a", "bigint")]),
    ("a float", "a double", [("widened", "a", "double")]),
    ("a int", "a string", [("clash", "a", "string")]),
    ("a bigint", "a double", [("clash", "a", "double")]),
    ("a decimal(10,2)", "a decimal(12,2)", [("widened", "a", "decimal(12,2)")]),
    ("a decimal(10,2)", "a decimal(12,1)", [("widened", "a", "decimal(13,2)")]),
    ("a decimal(10,2)", "a decimal(12,3)", [("clash", "a", "decimal(12,3)")]),
    ("a decimal(10,2)", "a bigint", [("widened", "a", "decimal(22,2)")]),
    ("a decimal(38,30)", "a bigint", [("clash", "a", "bigint")]),
    ("a decimal(12,2)", "a decimal(10,2)", []),
    ("a date", "a timestamp", [("clash", "a", "timestamp")]),
    ("a struct<b:int>", "a struct<b:int,c:string>", [("added", "a.c", "string")]),
    ("a struct<b:int>", "a struct<c:int>", [("added", "a.c", "int"), ("removed", "a.b", None)]),
    ("a struct<b:int>", "a struct<b:bigint>", [("widened", "a.b", "bigint")]),
    ("a array<struct<b:int>>", "a array<struct<b:int,c:date>>", [("added", "a.element.c", "date")]),
    ("a array<int>", "a array<bigint>", [("widened", "a.element", "bigint")]),
    ("a map<string,struct<b:int>>", "a map<string,struct<b:int,c:int>>", [("added", "a.value.c", "int")]),
    ("a map<string,int>", "a map<int,int>", [("clash", "a", "map<int,int>")]),
    ("a struct<b:int>", "a array<int>", [("clash", "a", "array<int>")]),
    ("a struct<b:struct<c:struct<d:int>>>", "a struct<b:struct<c:struct<d:int,e:struct<f:int>>>>",
     [("added", "a.b.c.e", "string")]),
    ("a struct<b:int>", "a struct<b:int,c:struct<d:struct<e:int>>>", [("added", "a.c", "struct<d:struct<e:int>>")]),
    ("a struct<b:int>", "a struct<b:int,c:struct<d:struct<e:struct<f:int>>>>",
     [("added", "a.c", "struct<d:struct<e:string>>")]),
    ("`a.b` int", "`a.b` bigint", [("widened", "`a.b`", "bigint")]),
    ("a int", "a int, b tinyint", [("added", "b", "int")]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "files", "told"), DIFFERENCES)
def test_each_difference_is_a_row(table: str, files: str, told: list[tuple[str, str, str | None]]) -> None:
    found = diff(types.parse_columns(table), types.parse_columns(files))
    assert [(each.kind, each.name, str(each.type) if each.type else None) for each in found] == told


@pytest.mark.parametrize(("table", "files", "told"), DIFFERENCES)
def test_a_change_survives_its_json(table: str, files: str, told: object) -> None:
    for change in diff(types.parse_columns(table), types.parse_columns(files)):
        assert Change.from_json(change.to_json()) == change


def test_a_promotion_is_one_that_an_iceberg_table_can_make() -> None:
    for table, seen in [("bigint", "int"), ("string", "bigint"), ("int", "double"), ("double", "float")]:
        assert promotion(types.parse(table), types.parse(seen)) is None


def test_a_path_leads_through_structs_arrays_and_maps() -> None:
    fields = types.parse_columns("a array<map<string,struct<B:int>>>, `x.y` date")
    found = field_at(fields, ("A", "element", "value", "b"))
    assert found == types.Field("B", types.parse("int"))
    assert field_at(fields, ("x.y",)) == fields[1]
    assert field_at(fields, ("a", "b")) is None
    assert dotted(("a", "x.y", "b")) == "a.`x.y`.b"


@pytest.mark.parametrize(
    ("change", "table", "open_"),
    [
        (Change(Kind.ADDED, ("b",), None, types.BIGINT), "a int", True),
        (Change(Kind.ADDED, ("B",), None, types.BIGINT), "a int, b int", False),
        (Change(Kind.ADDED, ("a", "b"), None, types.BIGINT), "a struct<c:int>", True),
        (Change(Kind.ADDED, ("a", "b"), None, types.BIGINT), "c int", False),
        (Change(Kind.WIDENED, ("a",), types.parse("int"), types.BIGINT), "a int", True),
        (Change(Kind.WIDENED, ("a",), types.parse("int"), types.BIGINT), "a bigint", False),
        (Change(Kind.WIDENED, ("a",), types.parse("int"), types.BIGINT), "a string", False),
        (Change(Kind.CLASH, ("a",), types.parse("int"), types.STRING), "a int", False),
    ],
)
def test_a_change_that_was_made_is_not_made_again(change: Change, table: str, open_: bool) -> None:
    assert still_open(change, types.parse_columns(table)) is open_


def test_only_what_has_fields_inside_can_grow() -> None:
    for text, grows in [("array<map<string,struct<a:int>>>", True), ("array<int>", False), ("string", False)]:
        assert can_grow(types.parse(text)) is grows
