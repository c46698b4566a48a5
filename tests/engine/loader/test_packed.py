"""Compressed files, whatever they are called: Spark goes by the name, and we by the content."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable

import pyarrow as pa
import pytest

from autoloader.lib.errors import FileError
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

TEXT = "id,name\n1,Ann\n2,Böb\n"


def blocks(codec: str, data: bytes) -> bytes:
    """As Hadoop writes its ``.snappy`` and ``.lz4``."""
    piece: bytes = pa.Codec(codec).compress(data).to_pybytes()
    return len(data).to_bytes(4, "big") + len(piece).to_bytes(4, "big") + piece


def framed(codec: str, data: bytes) -> bytes:
    """As the programs of that name write it."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "deflate": zlib.compress,
    "snappy": lambda data: blocks("snappy", data),
    "lz4": lambda data: blocks("lz4_raw", data),
}


def test_each_codec_under_its_own_name_and_under_another(feed: NewFeed) -> None:
    people = feed()
    data = TEXT.encode()
    names = {"gzip": ".gz", "bzip2": ".bz2", "deflate": ".deflate", "snappy": ".snappy", "lz4": ".lz4"}
    entries = [people.sniffed(f"right {codec}.csv{names[codec]}", pack(data)) for codec, pack in PACK.items()]
    entries += [
        people.sniffed(f"wrong #{codec} %25+ü.csv", PACK[codec](data)) for codec in ("gzip", "bzip2", "deflate")
    ]
    entries += [people.sniffed("plain.csv.gz", data), people.sniffed("plain too.csv.bz2", data)]
    entries.append(people.sniffed("gzip.csv.bz2", gzip.compress(data)))
    loaded = people.load(*entries)
    assert people.types() == {"id": "bigint", "name": "string"}
    for entry in entries:
        mine = [row for row in loaded.rows if row["_source_file"] == entry.file.address]
        assert sorted((row["id"], row["name"]) for row in mine) == [(1, "Ann"), (2, "Böb")], entry.file.address
        assert all(row["_file_modified_at"] is not None for row in mine)
    assert loaded.audit.rows == 2 * len(entries)


@pytest.mark.parametrize("format_", ["json", "text", "xml"])
def test_the_other_formats_of_text_are_unpacked_alike(feed: NewFeed, format_: str) -> None:
    data = {"json": '{"a": 1}\n{"a": 2}\n', "text": "1\n2\n", "xml": "<o><r><a>1</a></r><r><a>2</a></r></o>"}[format_]
    things = feed(format_)
    names = ["a.gz"] if format_ == "xml" and things.loader.readers.old else ["a.gz", "a.txt"]
    loaded = things.load(*(things.sniffed(name, gzip.compress(data.encode())) for name in names))
    column = "value" if format_ == "text" else "a"
    assert sorted(int(row[column]) for row in loaded.rows) == sorted([1, 2] * len(names))


def test_wide_letters_in_gzip_under_another_name(feed: NewFeed) -> None:
    for format_, text in (("csv", "id,name\n1,größe €\n"), ("json", '{"id": 1, "name": "größe €"}\n')):
        letters = feed(format_)
        row = letters.load(letters.sniffed(f"{format_}.txt", gzip.compress(text.encode("utf-16")))).one()
        assert (row["id"], row["name"]) == (1, "größe €")


def test_zstandard_needs_a_hadoop_that_has_it(feed: NewFeed) -> None:
    """The servers of these tests have none; nothing may be read as if it were empty."""
    people = feed()
    entry = people.sniffed("a.csv.zst", framed("zstd", TEXT.encode()))
    assert [column.name for column in entry.shape.columns] == ["id", "name"]  # type: ignore[union-attr]
    with pytest.raises(FileError) as raised:
        people.load(entry)
    assert raised.value.code == "compression_not_available"
    assert raised.value.path == entry.file.address


def test_what_other_programs_call_lz4_and_snappy_is_refused(feed: NewFeed) -> None:
    """Spark finds no row in such a file and says nothing."""
    people = feed()
    for name, data in (("a.csv.lz4", framed("lz4", TEXT.encode())), ("a.csv.snappy", b"\xff\x06\x00\x00sNaPpY....")):
        with pytest.raises(FileError) as raised:
            people.sniffed(name, data)
        assert raised.value.code == "compression_mismatch"


def test_the_compression_can_be_set_and_then_has_to_be_so(feed: NewFeed) -> None:
    people = feed(format={"options": {"compression": "snappy"}})
    rows = people.load(people.sniffed("a.dat", blocks("snappy", TEXT.encode()))).rows
    assert sorted(row["id"] for row in rows) == [1, 2]
    with pytest.raises(FileError) as raised:
        feed(format={"options": {"compression": "gzip"}}).sniffed("b.csv", TEXT)
    assert raised.value.code == "compression_mismatch"


def test_damage_further_down_sets_the_file_aside_by_its_own_name(feed: NewFeed) -> None:
    lines = "".join(f"{at},{at * 7919 % 100_003}\n" for at in range(200_000))
    packed = gzip.compress(f"id,n\n{lines}".encode())
    assert len(packed) > 600_000
    people = feed()
    good = people.sniffed("good.csv", TEXT)
    people.load(good)
    bad = people.sniffed("näme %41 [x].csv", packed[:-1000])
    assert people.blamed(good, bad) == [bad.file.address]
