"""JSON records to rows: each key in its column or in ``_rescued_data``."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.schema import types
from tests.engine.loader.feed import Feed, json_shape

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def manual(columns: str) -> dict[str, object]:
    return {"schema": {"inference": "manual", "schema_json": columns}}


def test_types_are_those_of_the_tokens(feed: NewFeed) -> None:
    events = feed("json")
    entry = events.json(
        "a.json",
        {
            "id": 1,
            "quoted": "5",
            "at": "2024-01-01T10:00:00Z",
            "day": "2024-01-01",
            "x": 1.5,
            "ok": True,
            "tags": ["a", "b"],
            "who": {"name": "Ann", "age": 5},
            "nothing": None,
            "empty": {},
            "big": 12345678901234567890,
        },
    )
    row = events.load(entry).one()
    assert events.types() == {
        "at": "timestamp",
        "big": "decimal(20,0)",
        "day": "date",
        "empty": "string",
        "id": "bigint",
        "nothing": "string",
        "ok": "boolean",
        "quoted": "string",
        "tags": "array<string>",
        "who": "struct<age:bigint,name:string>",
        "x": "double",
    }
    assert (row["id"], row["quoted"], row["x"], row["ok"]) == (1, "5", 1.5, True)
    assert (row["tags"], row["who"], row["empty"]) == (["a", "b"], {"age": 5, "name": "Ann"}, "{}")
    assert row["big"] == Decimal("12345678901234567890")
    assert row["_rescued_data"] is None


def test_a_mixed_key_gets_the_type_of_99_of_100(feed: NewFeed) -> None:
    events = feed("json")
    loaded = events.load(events.json("a.json", *({"n": at} for at in range(200)), {"n": "x"}))
    assert events.types() == {"n": "bigint"}
    assert loaded.rescued() == [{"n": "x"}]


def test_unknown_keys_are_rescued_and_reported_with_their_types(feed: NewFeed) -> None:
    events = feed("json")
    events.load(events.json("a.json", {"id": 1}))
    loaded = events.load(events.json("b.json", {"id": 2, "more": 5, "deep": {"a": [1, 2]}}, {"id": 3}), evolve=False)
    assert loaded.rescued() == [{"more": "5", "deep": '{"a":[1,2]}'}]
    unknown = {each.change.name: str(each.change.type) for each in loaded.audit.findings}
    assert unknown == {"more": "bigint", "deep": "struct<a:array<bigint>>"}


def test_values_that_do_not_fit_are_rescued_as_they_were(feed: NewFeed) -> None:
    events = feed(
        "json", format=manual("i bigint, d double, m decimal(10,2), t timestamp, b boolean, s struct<a:bigint>")
    )
    events.evolve([])
    loaded = events.load(
        events.json(
            "a.json",
            '{"i":3.5}',
            '{"i":12345678901234567.5}',
            '{"d":1e400}',
            '{"d":0.1234567890123456789012}',
            '{"m":1.005}',
            '{"t":"yesterday"}',
            '{"b":"yes"}',
            '{"s":{"a":1,"z":2}}',
            '{"s":5}',
        )
    )
    assert sorted(loaded.rescued(), key=str) == sorted(
        [
            {"i": "3.5"},
            {"i": "12345678901234567.5"},
            {"d": "1e400"},
            {"d": "0.1234567890123456789012"},
            {"m": "1.005"},
            {"t": "yesterday"},
            {"b": "yes"},
            {"s": '{"a":1,"z":2}'},
            {"s": "5"},
        ],
        key=str,
    )
    assert [row["s"] for row in loaded.rows if row["s"]] == [{"a": 1}]


def test_numbers_keep_their_digits(feed: NewFeed) -> None:
    events = feed("json", format=manual("m decimal(38,18), w decimal(18,2), i bigint, s string, d double"))
    events.evolve([])
    loaded = events.load(
        events.json(
            "a.json",
            '{"m":12345678901234567890.123456789012345678}',
            '{"w":123456789012345.67}',
            '{"w": 123456789.5 }',
            '{"i":12345678.0}',
            '{"i":9223372036854775807}',
            '{"d":0.30000000000000004}',
            '{"s":"note 1.00000000000000000001 \\"2e999\\" end", "d":1e5}',
            '{"s":12345678901234567890.5}',
        )
    )
    assert loaded.rescued() == []
    values = [{key: value for key, value in row.items() if value is not None and key in "mwisd"} for row in loaded.rows]
    assert values == [
        {"m": Decimal("12345678901234567890.123456789012345678")},
        {"w": Decimal("123456789012345.67")},
        {"w": Decimal("123456789.50")},
        {"i": 12345678},
        {"i": 9223372036854775807},
        {"d": 0.30000000000000004},
        {"s": 'note 1.00000000000000000001 "2e999" end', "d": 100000.0},
        {"s": "12345678901234567890.5"},
    ]


def test_case_decides_only_where_it_must(feed: NewFeed) -> None:
    events = feed("json")
    events.load(events.json("a.json", {"id": 1, "Name": "a"}))
    loaded = events.load(
        events.json("b.json", {"ID": 2, "name": "b"}, {"id": 3, "ID": 4, "Name": "c", "NAME": "d"}), evolve=False
    )
    assert sorted((row["id"], row["Name"]) for row in loaded.rows) == [(2, "b"), (3, "c")]
    assert loaded.rescued() == [{"ID": "4", "NAME": "d"}]
    assert loaded.audit.findings == ()


def test_keys_that_differ_in_case_only_are_one_column(feed: NewFeed) -> None:
    events = feed("json")
    loaded = events.load(events.json("a.json", {"id": 1, "ID": 2}))
    assert len(events.types()) == 1
    assert {*map(str, loaded.one().values())} >= {"1"} or {*map(str, loaded.one().values())} >= {"2"}
    assert len(loaded.rescued()) == 1


def test_a_key_that_comes_twice_keeps_the_whole_line(feed: NewFeed) -> None:
    events = feed("json", format=manual("a bigint"))
    events.evolve([])
    lines = ['{"a":1,"a":2}', '{"a":1,"x":1,"x":2}', '{"a":null,"a":3}']
    loaded = events.load(events.json("a.json", *lines))
    assert [row["a"] for row in loaded.rows] == [1, 1, 3]
    assert [each["_corrupt_record"] for each in loaded.rescued()] == lines[:2]


def test_lines_that_are_no_object_stay_as_rows(feed: NewFeed) -> None:
    events = feed("json")
    events.load(events.json("a.json", {"id": 1}))
    bad = ['{"id":2', "[1,2]", "5", "junk", '{"id":3} {"id":4}', '{"id":5}] x', '{"id":6},{"id":7}', "null"]
    loaded = events.load(events.json("b.json", *bad, "", "  \t", '{"id":8}'))
    assert [row["id"] for row in loaded.rows if row["id"]] == [8]
    assert [each["_corrupt_record"] for each in loaded.rescued()] == bad


def test_a_byte_order_mark_and_windows_line_ends(feed: NewFeed) -> None:
    events = feed("json")
    loaded = events.load(events.json("a.json", '\ufeff{"id":1}\r', '{"id":2}\r'))
    assert [(row["id"], row["_rescued_data"]) for row in loaded.rows] == [(1, None), (2, None)]


@pytest.mark.parametrize("encoding", ["windows-1252", "UTF-16LE"])
def test_other_encodings(feed: NewFeed, encoding: str) -> None:
    events = feed("json", format=manual("id bigint, name string"))
    events.evolve([])
    from tests.engine.loader.feed import json_shape

    text = '{"id":1,"name":"Jürgen"}\n{"id":2}\n'
    loaded = events.load(events.write("a.json", text.encode(encoding), json_shape(encoding=encoding)))
    assert [(row["id"], row["name"], row["_rescued_data"]) for row in loaded.rows] == [
        (1, "Jürgen", None),
        (2, None, None),
    ]


def test_documents_over_several_lines(feed: NewFeed) -> None:
    events = feed("json")
    from tests.engine.loader.feed import json_shape

    shape = json_shape(multiline="true")
    array = json.dumps([{"id": 1, "a": {"b": [1, 2]}}, {"id": 2}, None], indent=2)
    single = json.dumps({"id": 3}, indent=2)
    loaded = events.load(events.write("a.json", array, shape), events.write("b.json", single, shape))
    assert events.types() == {"a": "struct<b:array<bigint>>", "id": "bigint"}
    assert sorted(row["id"] for row in loaded.rows) == [1, 2, 3]
    broken = events.load(events.write("c.json", '[{"id": 4},\n {"id": 5]', shape))
    assert broken.rescued() == [{"_corrupt_record": '[{"id": 4},\n {"id": 5]'}]


def test_odd_keys(feed: NewFeed) -> None:
    events = feed("json")
    record = {"a b": 1, "c.d": 2, "e`f": 3, "😀": 4, "select": 5, 'it\'s "x"\\': 6, "$1": {"y.z": 7, "w w": 8}}
    loaded = events.load(events.json("a.json", record))
    assert {key: value for key, value in loaded.one().items() if key in record} == record
    assert loaded.rescued() == []


def test_keys_called_like_ours_are_rescued_and_never_asked_for(feed: NewFeed) -> None:
    events = feed("json")
    loaded = events.load(events.json("a.json", {"id": 1, "_batch_id": "x", "_rescued_data": "y", "_pos": 3}))
    assert events.types() == {"id": "bigint"}
    assert loaded.rescued() == [{"_batch_id": "x", "_rescued_data": "y", "_pos": "3"}]
    assert loaded.audit.findings == ()


def test_keys_can_be_renamed_and_dropped(feed: NewFeed) -> None:
    events = feed("json", format={"columns": [{"from": "a", "to": "b"}, {"from": "c", "drop": True}]})
    loaded = events.load(events.json("a.json", {"a": 1, "c": "secret"}))
    assert (events.types(), loaded.one()["b"], loaded.rescued()) == ({"b": "bigint"}, 1, [])


def test_nested_values_in_arrays_and_maps(feed: NewFeed) -> None:
    events = feed(
        "json", format=manual("o array<struct<x:bigint,y:string>>, m map<string,double>, b array<array<bigint>>")
    )
    events.evolve([])
    good = {"o": [{"x": 1, "y": "a"}, {"x": None}], "m": {"k": 1.5, "l": None}, "b": [[1], [], [2, 3]]}
    loaded = events.load(events.json("a.json", good, {"o": [{"x": "z"}], "m": {"k": "z"}, "b": [["z"]]}))
    first, second = loaded.rows
    assert first["o"] == [{"x": 1, "y": "a"}, {"x": None, "y": None}]
    assert (first["m"], first["b"]) == ({"k": 1.5, "l": None}, [[1], [], [2, 3]])
    assert json.loads(second["_rescued_data"])["o"] == '[{"x":"z"}]'
    assert loaded.rescued() == [{"o": '[{"x":"z"}]', "m": '{"k":"z"}', "b": '[["z"]]'}]


def test_what_is_nested_too_deep_is_kept_as_its_text(feed: NewFeed) -> None:
    """As in a GeoJSON document: features, geometry, polygons, rings, points, numbers."""
    inner: Any = 1.5
    for level in range(7):
        inner = [inner] if level % 2 else {"a": inner, "b": level}
    shapes = feed("json")
    loaded = shapes.load(shapes.json("a.json", {"id": 1, "deep": inner}))
    assert loaded.rescued() == []
    assert types.depth(types.parse(shapes.types()["deep"])) == types.MAX_DEPTH
    stored, wanted = loaded.one()["deep"], inner
    for step in ("a", 0, "a"):
        stored, wanted = stored[step], wanted[step]
    assert json.loads(stored) == wanted


WIDE = ",".join(f"f{at}:{kind}" for at, kind in enumerate(["string", "double", "timestamp", "decimal(12,3)"] * 8))


@pytest.mark.parametrize(
    "scalar", ["double", "timestamp", "decimal(12,3)", "date", "boolean", "tinyint", f"struct<{WIDE}>"]
)
@pytest.mark.parametrize("shape", ["array<{}>", "map<string,{}>", "struct<x:{}>"])
def test_any_type_of_the_deepest_level_can_be_converted(feed: NewFeed, shape: str, scalar: str) -> None:
    """The client's protobuf decodes expressions of a hundred levels; each type level takes about twenty."""
    type_ = scalar
    for _ in range(types.MAX_DEPTH - types.depth(types.parse(scalar))):
        type_ = shape.format(type_)
    assert types.depth(types.parse(type_)) == types.MAX_DEPTH
    shapes = feed("json", format=manual(f"d {type_}, n bigint"))
    shapes.evolve([])
    assert shapes.load(shapes.json("a.json", {"n": 1}), evolve=False).one()["n"] == 1


def test_a_type_that_is_nested_too_deep_is_refused(feed: NewFeed) -> None:
    shapes = feed("json", format=manual("d " + "array<" * 4 + "bigint" + ">" * 4))
    shapes.evolve([])
    with pytest.raises(ConfigError, match="nested deeper than 3 levels"):
        shapes.load(shapes.json("a.json", {"d": [[[[1]]]]}), evolve=False)


@pytest.mark.timeout(60)
def test_a_large_document_takes_no_longer_than_its_length(feed: NewFeed) -> None:
    """With a pattern that starts anew at each character, a megabyte without a long number takes minutes."""
    many = feed("json")
    rows = [{"title": f"number {at}", "n": at, "text": "x" * 200} for at in range(5000)]
    entry = many.write("a.json", json.dumps(rows), json_shape(multiline="true"))
    assert len(many.load(entry).rows) == 5000
