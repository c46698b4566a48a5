"""What the first bytes tell of encodings, headers, compression, XML, Avro and ORC."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoloader.lib.errors import FileError
from ingestions.engine.formats import packing
from tests.engine.avro import avro_file
from tests.engine.formats.test_sniff import look, names, refused

# ---- encodings


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("id,größe €\n1,2\n".encode(), "UTF-8"),
        ("id,größe €\n1,2\n".encode("utf-8-sig"), "UTF-8"),
        ("id,größe €\n1,2\n".encode("utf-16"), "UTF-16"),
        ("id,größe €\n1,2\n".encode("utf-16-le"), "UTF-16LE"),
        ("id,größe €\n1,2\n".encode("utf-16-be"), "UTF-16BE"),
        ("id,größe €\n1,2\n".encode("cp1252"), "windows-1252"),
        (b"id,gr\xf6\xdfe \x81\n1,2\n", "ISO-8859-1"),
    ],
)
def test_the_encoding_is_found_out(data: bytes, encoding: str) -> None:
    shape = look(data)
    assert shape.option("encoding") == encoding
    assert shape.columns[0].name == "id"
    assert shape.columns[1].name.startswith("größe")


def test_damaged_utf_8_is_not_taken_for_another_encoding() -> None:
    assert refused("größe,länge,höhe,müh\n".encode() + b"\xfc\n") == "encoding_mismatch"


# ---- header


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("id,name\n1,Ann\n", True),
        ("1,Ann\n2,Bob\n", False),
        ("2024-01-01,5.5,x\n2024-01-02,6.5,y\n", False),
        ("name,1990,1991\nAnn,3,4\n", True),  # years name columns
        ("0,1,2\n7,8,9\n", True),  # places do
        ("name,city\nAnn,Rome\n", True),
        ("5\n", True),  # one line tells nothing
        ("id,name\n", True),
        ("State,1/22/20,1/23/20\nX,0,1\n", True),
    ],
)
def test_whether_the_first_record_names_the_columns(text: str, header: bool) -> None:
    assert look(text).option("header") == str(header).lower()
    assert (names(text)[0] == "_c0") == (not header)


def test_a_person_who_says_whether_there_is_a_header_is_right() -> None:
    assert names("1,Ann\n2,Bob\n", header=True) == ["1", "Ann"]
    assert names("id,name\n1,Ann\n", header=False) == ["_c0", "_c1"]


def test_lines_above_and_lines_of_comment_are_no_header() -> None:
    assert names("Report of May\n\nid,name\n1,Ann\n", skip_lines=2) == ["id", "name"]
    assert names("# made by x\nid;name\n# more\n1;Ann\n", comment="#") == ["id", "name"]
    assert refused("one\ntwo\n", skip_lines=5) == "empty_file"


# ---- compression


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(["gzip", "bzip2", "deflate", "zstd"]))
def test_what_was_packed_is_unpacked_and_known_by_its_content(data: bytes, codec: str) -> None:
    packed = _packed(codec, data)
    assert packing.found("s3://b/x", packed, None) == codec
    assert packing.unpack("s3://b/x", packed, codec, True, 10_000) == (data, True)
    cut, whole = packing.unpack("s3://b/x", packed, codec, True, max(1, len(data) // 2))
    assert data.startswith(cut)
    assert not whole or cut == data


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "deflate", "zstd"])
def test_a_file_that_ends_too_early_is_refused_and_a_head_is_not(codec: str) -> None:
    data = bytes(at * 7 % 251 for at in range(200_000))
    half = _packed(codec, data)[:-20]
    with pytest.raises(FileError) as raised:
        packing.unpack("s3://b/x", half, codec, True, 10**6)
    assert raised.value.code == f"{codec}_damaged"
    text, whole = packing.unpack("s3://b/x", half, codec, False, 10**6)
    assert not whole
    assert data.startswith(text)


def _packed(codec: str, data: bytes) -> bytes:
    if codec == "zstd":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue().to_pybytes())
    pack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "deflate": zlib.compress}
    return pack[codec](data)


def test_a_text_that_begins_like_zlib_is_a_text() -> None:
    assert names("x^2,y\n1,2\n") == ["x^2", "y"]


# ---- xml


def test_the_root_s_children_are_rows_where_they_have_one_name() -> None:
    assert look("<o><r/><r/></o>", type_="xml").option("row_tag") == "r"
    assert look("<o><a/><b/></o>", type_="xml").option("row_tag") == "o"
    assert look("<x:o xmlns:x='u'><x:r/></x:o>", type_="xml").option("row_tag") == "x:r"
    assert look("<o><r><q>" + "z" * 100_000, type_="xml").option("row_tag") == "r"


@pytest.mark.parametrize(
    ("inside", "hidden"),
    [
        ("<!-- <r><id>9</id></r> --><r/>", True),
        ("<r><!-- was </r> --></r>", True),
        ("<r/><!-- <r a='1'", True),  # goes on behind the first bytes
        ("<r><![CDATA[<r>]]></r>", True),
        ("<!-- <rest/> <id/> --><r/><!-- r -->", False),
        ("<!-- a --><r>&lt;r&gt;</r><!-- b -->", False),
    ],
)
def test_rows_inside_of_a_comment_are_told(inside: str, hidden: bool) -> None:
    """They are no rows, and the reader of Spark 3.5 does not know."""
    assert look(f"<o>{inside}", type_="xml").option("hidden") == ("true" if hidden else "")


def test_entities_that_grow_without_end_are_not_followed() -> None:
    bomb = "<!DOCTYPE o [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
        f"<!ENTITY {chr(98 + at)} '{f'&{chr(97 + at)};' * 10}'>" for at in range(10)
    )
    assert look(bomb + "]><o><r>&k;</r></o>", type_="xml").option("row_tag") == "r"


# ---- avro

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "long"},
    {"name": "n", "type": ["null", "int"]},
    {"name": "u", "type": ["int", "string"]},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "again", "type": "E"},
    {"name": "d", "type": {"type": "int", "logicalType": "date"}},
    {"name": "t", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "m", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "r", "type": {"type": "record", "name": "S", "fields": [{"name": "x y", "type": "double"}]}},
    {"name": "a", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}},
]


def test_the_columns_of_an_avro_file() -> None:
    shape = look(avro_file(FIELDS, []), "a.avro", "avro")
    assert {column.name: column.type for column in shape.columns} == {
        "id": "bigint", "n": "int", "u": "struct<member0:int,member1:string>", "e": "string", "again": "string",
        "d": "date", "t": "timestamp", "m": "decimal(10,2)", "r": "struct<`x y`:double>",
        "a": "array<map<string,binary>>",
    }  # fmt: skip


def test_avro_files_are_read_together_where_only_comments_differ() -> None:
    plain = look(avro_file([{"name": "a", "type": "int"}], []), "a.avro", "avro")
    said = look(avro_file([{"name": "a", "type": "int", "doc": "hello"}], []), "b.avro", "avro")
    other = look(avro_file([{"name": "a", "type": "long"}], []), "c.avro", "avro")
    assert plain.key == said.key != other.key


def test_what_no_spark_reads_of_avro_is_refused() -> None:
    itself: list[dict[str, Any]] = [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "R"]}]
    assert refused(avro_file(itself, []), "a.avro", "avro") == "avro_type"
    assert refused(b"Obj\x01\x02", "a.avro", "avro") == "not_avro"
    assert refused(b"id,name\n", "a.avro", "avro") == "not_avro"
    twins = [{"name": "a", "type": "int"}, {"name": "A", "type": "int"}]
    assert refused(avro_file(twins, []), "a.avro", "avro") == "ambiguous_columns"


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["avro", "orc", "xml", "text", "binary"]))
def test_any_bytes_are_a_file_or_are_refused(data: bytes, type_: str) -> None:
    for start in (b"", b"Obj\x01", b"ORC", b"<"):
        try:
            assert look(start + data, "a.x", type_).format == type_
        except FileError as error:
            assert error.code  # noqa: PT017  # any other error fails the test


# ---- orc


def test_the_columns_of_an_orc_file() -> None:
    sink = io.BytesIO()
    columns: dict[str, Any] = {
        "i": pa.array([1], pa.int8()),
        "t": pa.array([0], pa.timestamp("us")),
        "s": pa.array([{"a b": [1]}]),
        "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
        "d": pa.array([1], pa.decimal128(10, 2)),
    }
    orc.write_table(pa.table(columns), sink)
    shape = look(sink.getvalue(), "a.orc", "orc")
    assert {column.name: column.type for column in shape.columns} == {
        "i": "tinyint", "t": "timestamp_ntz", "s": "struct<`a b`:array<bigint>>", "m": "map<string,int>",
        "d": "decimal(10,2)",
    }  # fmt: skip
    assert refused(sink.getvalue()[:-5], "a.orc", "orc") == "not_orc"


def test_an_orc_type_that_spark_does_not_read_is_refused() -> None:
    sink = io.BytesIO()
    orc.write_table(pa.table({"t": pa.array([0], pa.timestamp("us", "UTC"))}), sink)
    assert refused(sink.getvalue(), "a.orc", "orc") == "orc_type"
