"""JSON documents whose records stand below a key."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from autoloader.lib.errors import FileError
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


def path(text: str) -> dict[str, object]:
    return {"options": {"records_path": text}}


def test_the_records_of_a_document_are_rows(feed: NewFeed) -> None:
    trail = feed("json", format=path("Records[*]"))
    one = {"Records": [{"id": 1, "who": {"name": "Ann"}, "at": "2024-01-05T10:00:00Z"}, {"id": 2}], "x": 1}
    text = json.dumps(one, indent=1)
    loaded = trail.load(trail.sniffed("a.json", text), trail.sniffed("b.log", gzip.compress(json.dumps(one).encode())))
    assert trail.types() == {"id": "bigint", "who": "struct<name:string>", "at": "timestamp"}
    assert sorted(row["id"] for row in loaded.rows) == [1, 1, 2, 2]
    assert loaded.rescued() == []


def test_a_longer_path_and_numbers_with_all_their_digits(feed: NewFeed) -> None:
    deep = feed("json", format=path("data.items[*]"))
    text = '{"data": {"items": [{"n": 12345678901234567890, "x": 0.12345678901234567890123, "s": "a]"}]}, "more": []}'
    row = deep.load(deep.sniffed("a.json", text)).one()
    assert (str(row["n"]), row["s"]) == ("12345678901234567890", "a]")
    assert "0.12345678901234567890123" in (str(row["x"]), json.loads(row["_rescued_data"] or "{}").get("x"))


def test_what_is_no_record_among_the_records_is_rescued(feed: NewFeed) -> None:
    things = feed("json", format=path("r[*]"))
    loaded = things.load(things.sniffed("a.json", '{"r": [{"a": 1}, 5, "x", null, [2]]}'))
    assert sorted(each["_corrupt_record"] for each in loaded.rescued()) == ["5", "[2]", "x"]
    assert [row["a"] for row in loaded.rows if row["a"] is not None] == [1]


def test_documents_line_by_line(feed: NewFeed) -> None:
    lines = feed("json", format=path("r[*]"))
    loaded = lines.load(lines.sniffed("a.json", '{"r": [{"a": 1}, {"a": 2}]}\n{"r": []}\n{"r": [{"a": 3}\n'))
    assert sorted(row["a"] for row in loaded.rows if row["a"] is not None) == [1, 2, 3][:2]
    assert loaded.rescued() == [{"_corrupt_record": '{"r": [{"a": 3}'}]


@pytest.mark.parametrize("text", ['{"error": "no access"}', '{"r": {"a": 1}}', '{"r": null}'])
def test_a_document_without_records_there_is_refused_and_not_read_as_empty(feed: NewFeed, text: str) -> None:
    lines = feed("json", format={"options": {"records_path": "r[*]", "multiline": True}})
    good = lines.sniffed("good.json", '{"r": [{"a": 1}]}')
    assert lines.load(good).one()["a"] == 1
    bad = lines.sniffed('it\'s "bad".json', text)
    with pytest.raises(FileError) as raised:
        lines.load(good, bad)
    assert (raised.value.code, raised.value.path) == ("records_missing", bad.file.address)


def test_a_document_that_is_cut_is_refused_by_its_first_bytes(feed: NewFeed) -> None:
    lines = feed("json", format={"options": {"records_path": "r[*]", "multiline": True}})
    with pytest.raises(FileError) as raised:
        lines.sniffed("a.json", '{"r": [{"a": 1}, {"a"')
    assert raised.value.code == "json_cut"
