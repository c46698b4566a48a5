"""Avro files to rows: logical types, unions, enums; and schemas that differ from file to file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from autoloader.lib.errors import FileError
from tests.engine.avro import avro_file, double, items, text, whole
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "long"},
    {"name": "maybe", "type": ["null", "int"]},
    {"name": "either", "type": ["int", "string"]},
    {"name": "wide", "type": ["int", "long"]},
    {"name": "kind", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "four", "type": {"type": "fixed", "name": "F4", "size": 4}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "nanos", "type": {"type": "long", "logicalType": "timestamp-nanos"}},
    {"name": "clock", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
    {"name": "time", "type": {"type": "int", "logicalType": "time-millis"}},
    {"name": "money", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "map", "type": {"type": "map", "values": "int"}},
    {"name": "list", "type": {"type": "array", "items": "string"}},
    {"name": "rec", "type": {"type": "record", "name": "S", "fields": [{"name": "x", "type": "double"}]}},
    {"name": "nothing", "type": "null"},
]


def row(at: int) -> bytes:
    return b"".join(
        [
            whole(at), whole(1) + whole(7), whole(1) + text("txt") if at % 2 else whole(0) + whole(5),
            whole(1) + whole(2**40), whole(1), b"\x00\x01\x02\xff", whole(19_000), whole(1_700_000_000_123),
            whole(1_700_000_000_123_456_789), whole(1_700_000_000_123_456), whole(3_600_000),
            text((12_345).to_bytes(3, "big")), text("123e4567-e89b-12d3-a456-426614174000"),
            items(text("k") + whole(9)), items(text("p"), text("q")), double(1.5),
        ]
    )  # fmt: skip


def test_each_type_of_avro_has_its_column(feed: NewFeed) -> None:
    events = feed("avro")
    loaded = events.load(events.sniffed("a.avro", avro_file(FIELDS, [row(1), row(2)], "deflate")))
    assert events.types() == {
        "id": "bigint", "maybe": "int", "either": "struct<member0:int,member1:string>", "wide": "bigint",
        "kind": "string", "four": "binary", "day": "date", "at": "timestamp", "nanos": "bigint",
        "clock": "timestamp_ntz", "time": "int", "money": "decimal(10,2)", "uuid": "string", "map": "map<string,int>",
        "list": "array<string>", "rec": "struct<x:double>", "nothing": "string",
    }  # fmt: skip
    first, second = sorted(loaded.rows, key=lambda each: each["id"])
    assert first["either"] == {"member0": None, "member1": "txt"}
    assert second["either"] == {"member0": 5, "member1": None}
    assert (first["maybe"], first["wide"], first["kind"], bytes(first["four"])) == (7, 2**40, "B", b"\x00\x01\x02\xff")
    assert (first["day"], first["money"], first["nanos"]) == (
        date(2022, 1, 8), Decimal("123.45"), 1_700_000_000_123_456_789,
    )  # fmt: skip
    assert (first["map"], first["list"], first["rec"], first["nothing"]) == ({"k": 9}, ["p", "q"], {"x": 1.5}, None)
    assert first["at"].isoformat() == "2023-11-14T22:13:20.123000"
    assert first["clock"].isoformat() == "2023-11-14T22:13:20.123456"
    assert loaded.rescued() == []


def test_dates_of_old_are_read_as_they_were_written(feed: NewFeed) -> None:
    old = feed("avro")
    data = avro_file([{"name": "d", "type": {"type": "int", "logicalType": "date"}}], [whole(-200_000)])
    assert old.load(old.sniffed("a.avro", data)).one()["d"] == date(1422, 6, 3)


def test_files_of_several_schemas_in_one_batch_each_by_its_own(feed: NewFeed) -> None:
    """Spark alone would read all of them by the schema of one: a field that it lacks is gone without a word."""
    events = feed("avro")
    a, b = {"name": "a", "type": "int"}, {"name": "b", "type": "string"}
    c = {"name": "a", "type": "string"}
    loaded = events.load(
        events.sniffed("1.avro", avro_file([a], [whole(1)])),
        events.sniffed("2.avro", avro_file([b, a], [text("x") + whole(2)])),
        events.sniffed("3.avro", avro_file([a, {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["Q"]}}],
                                           [whole(3) + whole(0)])),
        events.sniffed("4.avro", avro_file([a, {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["P"]}}],
                                           [whole(4) + whole(0)])),
    )  # fmt: skip
    assert sorted((row["a"], row["b"], row["e"]) for row in loaded.rows) == [
        (1, None, None), (2, "x", None), (3, None, "Q"), (4, None, "P"),
    ]  # fmt: skip
    later = events.load(events.sniffed("5.avro", avro_file([c], [text("word")])))
    assert later.rescued() == [{"a": "word"}]


def test_values_of_other_types_and_unknown_fields_are_rescued(feed: NewFeed) -> None:
    events = feed("avro", format={"schema": {"inference": "manual", "schema_json": "id int, day date"}})
    loaded = events.load(events.sniffed("a.avro", avro_file(FIELDS, [row(1)])), evolve=True)
    (rescued,) = loaded.rescued()
    assert loaded.one()["id"] == 1
    assert (rescued["wide"], rescued["kind"], rescued["four"]) == (str(2**40), "B", "AAEC/w==")
    assert json.loads(rescued["either"]) == {"member1": "txt"}
    assert set(rescued) == {field["name"] for field in FIELDS} - {"id", "day", "nothing"}


def test_a_file_that_was_cut_off_is_set_aside_by_its_name(feed: NewFeed) -> None:
    """Spark 3.5 reads such a file as far as it goes, and says nothing."""
    events = feed("avro")
    whole_file = avro_file(FIELDS, [row(1), row(2)])
    for cut in (1, 16, 40):
        with pytest.raises(FileError) as raised:
            events.sniffed("bad.avro", whole_file[:-cut])
        assert raised.value.code == "not_avro"


def test_a_block_that_is_damaged_is_set_aside_by_its_file_s_name(feed: NewFeed) -> None:
    events = feed("avro")
    data = avro_file(FIELDS, [row(1), row(2)], "deflate")
    good = events.sniffed("good.avro", data)
    at = len(data) - 40
    bad = events.sniffed("bad.avro", data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
    events.load(good)
    with pytest.raises(FileError) as raised:
        events.load(good, bad)
    assert raised.value.path == bad.file.address
