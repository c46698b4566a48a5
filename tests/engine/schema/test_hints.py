"""Types given by hand, to columns and to fields inside of them; the order of columns."""

from __future__ import annotations

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.schema import types
from ingestions.engine.schema.hints import hinted, in_order, path_of


@pytest.mark.parametrize(
    ("found", "hint", "wanted"),
    [
        ("a string", ("a", "bigint"), "a bigint"),
        ("A string", ("a", "bigint"), "A bigint"),
        ("b string", ("a", "bigint"), "b string, a bigint"),
        ("a struct<b:string,c:int>", ("a.b", "bigint"), "a struct<b:bigint,c:int>"),
        ("a struct<B:string>", ("a.b", "bigint"), "a struct<B:bigint>"),
        ("a struct<c:int>", ("a.b", "bigint"), "a struct<c:int,b:bigint>"),
        ("a array<struct<b:string>>", ("a.element.b", "date"), "a array<struct<b:date>>"),
        ("a array<string>", ("a.element.b", "date"), "a array<struct<b:date>>"),
        ("a map<string,struct<b:string>>", ("a.value.b", "int"), "a map<string,struct<b:int>>"),
        ("a string", ("a.b", "int"), "a struct<b:int>"),
        ("x int", ("a.element.b", "int"), "x int, a array<struct<b:int>>"),
        ("a struct<element:string>", ("a.element", "int"), "a struct<element:int>"),
        ("`a.b` string, a struct<b:string>", ("a.b", "int"), "`a.b` int, a struct<b:string>"),
        ("x int", ("`a.b`", "int"), "x int, `a.b` int"),
        ("a struct<`b.c`:string>", ("a.`b.c`", "int"), "a struct<`b.c`:int>"),
        ("x int", ("a..b", "int"), "x int, `a..b` int"),
    ],
)
def test_a_hint_goes_where_its_path_leads(found: str, hint: tuple[str, str], wanted: str) -> None:
    done = hinted(types.parse_columns(found), {hint[0]: types.parse(hint[1])}, complete=True)
    assert done == types.parse_columns(wanted)


def test_a_hint_adds_no_column_to_a_table_that_is_there() -> None:
    fields = types.parse_columns("a int")
    assert hinted(fields, {"b": types.STRING, "c.d": types.STRING}, complete=False) == fields


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "`a", "a`b`"])
def test_what_leads_nowhere_is_no_path(name: str) -> None:
    with pytest.raises(ConfigError, match="leads to no field"):
        path_of(name)


def test_named_columns_stand_first_and_the_others_as_they_were() -> None:
    fields = types.parse_columns("a int, b int, c int, d int")
    assert [field.name for field in in_order(fields, ["D", "nowhere", "b"])] == ["d", "b", "a", "c"]
