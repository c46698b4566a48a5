"""Text and binary files: a row a line, or a row a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from autoloader.lib.errors import ConfigError
from autoloader.lib.spark_formats import lacking
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_each_line_of_a_text_is_a_row(feed: NewFeed, encoding: str) -> None:
    lines = feed("text")
    loaded = lines.load(lines.sniffed("a.log", "größe\r\n\n  b {,\nend".encode(encoding)))
    assert lines.types() == {"value": "string"}
    assert sorted(row["value"] for row in loaded.rows) == sorted(["größe", "", "  b {,", "end"])


def test_a_text_may_be_one_row(feed: NewFeed) -> None:
    texts = feed("text", format={"options": {"multiline": True}})
    text = "one\r\ntwo\n"
    loaded = texts.load(texts.sniffed("a.txt", text), texts.sniffed("b.txt.gz", gzip.compress(text.encode("utf-16"))))
    assert [row["value"] for row in loaded.rows] == [text, text]


def test_the_column_of_a_text_can_have_another_name_and_type(feed: NewFeed) -> None:
    numbers = feed("text", format={"columns": [{"from": "value", "to": "n", "type": "bigint"}]})
    loaded = numbers.load(numbers.sniffed("a.txt", "5\nx\n"))
    assert numbers.types() == {"n": "bigint"}
    assert loaded.rescued() == [{"n": "x"}]


def test_a_binary_file_is_a_row_with_its_bytes(feed: NewFeed) -> None:
    things = feed("binary")
    data = bytes(range(256))
    packed = gzip.compress(data)
    loaded = things.load(things.sniffed("a.bin", data), things.sniffed("b.gz", packed))
    assert things.types() == {"content": "binary", "length": "bigint"}
    found = {row["_source_file"][-5:]: (bytes(row["content"]), row["length"]) for row in loaded.rows}
    assert found == {"a.bin": (data, 256), "/b.gz": (packed, len(packed))}
    assert loaded.rescued() == []


def test_a_format_that_the_cluster_has_no_reader_for_is_told_with_what_to_add(feed: NewFeed) -> None:
    readers = feed("text").loader.readers
    readers.need("avro")
    readers.need("xml")
    with pytest.raises(ConfigError) as raised:
        readers.need("nobody_s_format")
    assert (raised.value.code, raised.value.field) == ("format_not_on_cluster", "format.type")


@pytest.mark.parametrize(
    ("version", "format_", "jar"),
    [
        ("3.5.7", "avro", "org.apache.spark:spark-avro_2.12:3.5.7"),
        ("4.0.5", "avro", "org.apache.spark:spark-avro_2.13:4.0.5"),
        ("3.5.7", "xml", "com.databricks:spark-xml_2.12:0.18.0"),
    ],
)
def test_the_jar_to_add_is_that_of_the_cluster_s_version(version: str, format_: str, jar: str) -> None:
    message, hint = lacking(format_, version)
    assert format_ in message
    assert jar in hint
