"""What the first bytes of a file tell, and what they forbid."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloader.lib.errors import ConfigError, FileError
from ingestions.engine import config, formats
from ingestions.engine.formats.names import column_names
from ingestions.engine.formats.shape import MAX_COLUMNS, Shape
from ingestions.engine.formats.sniff import sniff


@dataclass
class File:
    """A file and the source that it is in."""

    data: bytes
    address: str = "s3://b/a.csv"

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read_range(self, address: str, start: int, length: int) -> bytes:
        return self.data[start : start + length] if start >= 0 else self.data[start:][:length]


def look(data: bytes | str, name: str = "a.csv", type_: str = "csv", **options: Any) -> Shape:
    file = File(data.encode() if isinstance(data, str) else data, f"s3://b/{name}")
    format_ = config.Format.model_validate({"type": type_, "options": options})
    formats.validate(format_)
    return sniff(file, file, format_)


def names(*args: Any, **options: Any) -> list[str]:
    return [column.name for column in look(*args, **options).columns]


def refused(*args: Any, **options: Any) -> str:
    with pytest.raises(FileError) as raised:
        look(*args, **options)
    assert raised.value.path.startswith("s3://b/")
    assert raised.value.message
    return raised.value.code


@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(between: str) -> None:
    rows = [["id", "name", "at"], ["1", "Ann", "2024-01-01"], ["2", "Bob", "2024-01-02"]]
    shape = look("".join(between.join(row) + "\n" for row in rows))
    assert shape.option("delimiter") == between
    assert [column.name for column in shape.columns] == ["id", "name", "at"]


def test_a_delimiter_inside_of_quotes_is_none() -> None:
    assert names('"last, first";age\n"a, b";1\n"c, d";2\n') == ["last, first", "age"]


def test_a_given_delimiter_counts_whatever_the_file_looks_like() -> None:
    assert names("a,b;c\n1,2;3\n", delimiter=";") == ["a,b", "c"]
    assert names("a\tb\n", delimiter="\\t") == ["a", "b"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_marks_and_line_ends_are_no_part_of_a_name(mark: str, end: str) -> None:
    assert names(f'{mark}"id",name{end}') == ["id", "name"]


def test_a_header_may_hold_line_breaks_and_quotes() -> None:
    assert names('id,"two\nlines","a ""b"""\n1,2,3\n') == ["id", "two\nlines", 'a "b"']


def test_a_header_longer_than_the_first_bytes_is_read_on() -> None:
    many = [f"column_{number:04}_of_a_questionnaire" for number in range(MAX_COLUMNS)]
    assert names(",".join(many) + "\n1\n") == many


def test_more_columns_than_a_table_can_have_are_refused() -> None:
    assert refused("," * MAX_COLUMNS + "\n1\n") == "too_many_columns"
    table = pa.table({f"c{number}": pa.array([1]) for number in range(MAX_COLUMNS + 1)})
    packed = io.BytesIO()
    pq.write_table(table, packed)
    assert refused(packed.getvalue(), "a.parquet", "parquet") == "too_many_columns"


def test_a_cell_may_be_longer_than_pythons_own_bound() -> None:
    """A polygon in a column, gzipped: the first bytes unpack to more than one cell may have by default."""
    text = 'id;shape;name\n1;"' + "0 " * 100_000 + '";Ann\n2;;Bob\n'
    shape = look(gzip.compress(text.encode()), "a.csv.gz")
    assert shape.option("delimiter") == ";"
    assert [column.name for column in shape.columns] == ["id", "shape", "name"]


@pytest.mark.parametrize("multiline", [None, False])
@pytest.mark.parametrize("line", ["\n", "\r\n", " \n", '"\n', "a\n", ";\n", ",,\n", '"",\n', "[\n"])
def test_no_first_bytes_take_long(line: str, multiline: bool | None) -> None:
    """Four kilobytes of gzip can unpack to a megabyte of anything."""
    packed = gzip.compress((line * (4 * 1024 * 1024 // len(line))).encode())
    began = time.process_time()
    with contextlib.suppress(FileError):
        look(packed, "a.csv.gz", multiline=multiline)
    assert time.process_time() - began < 10


def test_a_name_that_stands_in_a_header_many_times_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    found = column_names(["a", "_c7", ""] * 100_000)
    assert time.process_time() - began < 10
    assert len({name.lower() for name in found}) == 300_000


def test_a_quote_that_never_ends_is_told() -> None:
    assert refused('id,"name\n' + "x" * 2_000_000) == "header_unreadable"


def test_without_a_header_columns_are_numbered() -> None:
    assert names("1,Ann\n2,Bob\n", header=False) == ["_c0", "_c1"]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (["a", "a", "A"], ["a", "a_2", "A_3"]),
        (["", " ", "x"], ["_c0", "_c1", "x"]),
        (["_c1", "", "b"], ["_c1", "_c1_2", "b"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
        (["_batch_id", "x"], ["_batch_id_2", "x"]),
        ([" id ", "\ufeffname"], ["id", "name"]),
    ],
)
def test_names_are_made_distinct(header: list[str], wanted: list[str]) -> None:
    assert list(column_names(header)) == wanted
    assert names(",".join(header) + "\n" + ",".join("1" for _ in header) + "\n") == wanted


@given(st.lists(st.text(max_size=6), min_size=1, max_size=12))
def test_any_header_gives_one_name_a_column_and_no_two_alike(header: list[str]) -> None:
    found = column_names(header)
    assert len(found) == len(header)
    assert len({name.lower() for name in found}) == len(found)


PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@given(st.lists(PLAIN, min_size=2, max_size=6, unique_by=str.lower), st.sampled_from(",;\t|"))
def test_what_python_writes_is_read_as_it_was(header: list[str], between: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=between, quoting=csv.QUOTE_ALL)
    writer.writerows([header, ["1"] * len(header), ["2"] * len(header)])
    assert names(text.getvalue(), delimiter=between, header=True) == list(column_names(header))


def test_gzip_is_known_by_content_whatever_the_name() -> None:
    packed = gzip.compress(b"id,name\n1,Ann\n")
    assert names(packed, "a.csv.gz") == ["id", "name"]
    assert "read_as" not in dict(look(packed, "a.csv.gz").options)
    assert look(packed, "a.csv").option("read_as") == ".gz"
    assert dict(look(b"id,name\n", "a.csv.gz").options)["read_as"] == ""
    assert refused(packed[:12], "a.csv.gz") == "gzip_damaged"
    assert refused(gzip.compress(b""), "a.csv.gz") == "empty_file"


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "windows-1252", "Shift_JIS"])
def test_other_encodings_when_they_are_named(encoding: str) -> None:
    header = "id,価格" if encoding == "Shift_JIS" else "id,größe"
    assert names(f"{header}\n1,2\n".encode(encoding), encoding=encoding) == header.split(",")


@pytest.mark.parametrize("type_", ["csv", "json"])
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32"])
def test_a_wide_encoding_without_a_mark_has_to_be_named_with_its_order(encoding: str, type_: str) -> None:
    data = ('{"id": 1}\n' if type_ == "json" else "id,x\n1,2\n").encode(f"{encoding}-LE")
    assert refused(data, "a.txt", type_, encoding=encoding) == "encoding_mismatch"
    assert look(data, "a.txt", type_, encoding=f"{encoding}LE").option("encoding") == f"{encoding}LE"


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.csv", "empty_file"),
        ("größe,größe,größe,größe\n".encode() + b"\xff", "a.csv", "encoding_mismatch"),
        (b"\x00\x01\x02\x03" * 50, "a.csv", "not_text"),
        (b"PAR1" + b"\x00" * 50, "a.csv", "not_text"),
        (b"PK\x03\x04" + b"\x00" * 50, "a.csv", "not_text"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a.csv", "looks_like_html"),
        (b'{"id": 1, "name": "Ann"}\n', "a.csv", "looks_like_json"),
    ],
)
def test_what_is_plainly_something_else_is_refused(data: bytes, name: str, code: str) -> None:
    assert refused(data, name) == code


@pytest.mark.parametrize(
    ("text", "multiline"),
    [
        ('{"a":1}\n{"a":2}\n', "false"),
        ('[{"a":1},\n {"a":2}]', "true"),
        ('{\n "a": 1\n}\n', "true"),
        ('{"a":1}', "false"),
    ],
)
def test_json_has_a_record_a_line_or_is_one_document(text: str, multiline: str) -> None:
    assert look(text, "a.json", "json").option("multiline") == multiline


@pytest.mark.parametrize("text", ["id,name\n1,2\n", "hello\n", "<html></html>"])
def test_what_is_no_json_is_refused(text: str) -> None:
    assert refused(text, "a.json", "json") in ("not_json", "looks_like_html")


def test_what_is_no_parquet_is_refused() -> None:
    assert refused(b"id,name\n1,2\n", "a.parquet", "parquet") == "not_parquet"
    assert refused(b"PAR1" + b"\x00" * 100 + b"PAR1", "a.parquet", "parquet") == "not_parquet"


@given(st.binary(max_size=300), st.sampled_from([("a.csv", "csv"), ("a.json", "json"), ("a.parquet", "parquet")]))
def test_any_bytes_are_a_file_or_are_refused_with_a_reason(data: bytes, kind: tuple[str, str]) -> None:
    try:
        assert look(data, *kind).format == kind[1]
    except FileError as error:
        assert error.message  # noqa: PT017  # any other error fails the test
        assert error.code  # noqa: PT017


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delimiter": ",,"}, "delimiter"), ({"delimiter": "\n"}, "delimiter"), ({"quote": "ab"}, "quote"),
        ({"escape": ""}, "escape"), ({"delimiter": '"'}, "delimiter"), ({"encoding": "klingon"}, "encoding"),
        ({"compression": "rar"}, "compression"), ({"comment": "##"}, "comment"), ({"comment": '"'}, "comment"),
        ({"row_tag": "r"}, "row_tag"), ({"records_path": "a[*]"}, "records_path"),
        ({"thousands_separator": "."}, "thousands_separator"), ({"thousands_separator": "x"}, "thousands_separator"),
        ({"date_format": "dd.MM"}, "date_format"), ({"date_format": "yyyy-MM-dd HH:mm"}, "date_format"),
        ({"date_format": "YYYY-MM-dd"}, "date_format"), ({"date_format": "yyyy-MM-dd'"}, "date_format"),
        ({"timestamp_format": "yyyy-MM-dd hh:mm"}, "timestamp_format"),
        ({"timestamp_format": "yyyy-MM-dd HH:mm:ss.SSSSSSSSS"}, "timestamp_format"),
        ({"timestamp_format": "EEE, dd MMM yyyy"}, "timestamp_format"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        look("a,b\n", **options)
    assert raised.value.field == f"format.options.{field}"
