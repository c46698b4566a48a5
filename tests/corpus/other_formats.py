"""XML, Avro, ORC, text and binary files, and JSON whose records stand below a key: whole, odd, cut and mistaken."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc

from tests.corpus.case import RESCUED, Feed, columns, data, refused, skipped, text
from tests.engine.avro import avro_file, double, whole
from tests.engine.avro import text as string
from tests.engine.loader.feed import OLD

ABC = columns("id bigint, a string, n double")
ONE, TWO = {"id": 1, "a": "x", "n": 1.5}, {"id": 2, "a": "ä"}
RECORDS = "<r><id>1</id><a>x</a><n>1.5</n></r><r><id>2</id><a>ä</a></r>"

HIDDEN = f"<o><!-- <r><id>9</id></r> -->{RECORDS}</o>"

XML = Feed(
    "xml",
    (
        text("plain.xml", f"<o>{RECORDS}</o>", ONE, TWO),
        text("declared.xml", f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<o>{RECORDS}</o>', ONE, TWO,
             encoding="latin-1"),
        text("utf-16.xml", f"<o>{RECORDS}</o>", ONE, TWO, encoding="utf-16"),
        text("mark.xml", f"\ufeff<o>{RECORDS}</o>", ONE, TWO),
        text("comments.xml", f"<!-- a --><o><!-- <id>9</id> -->{RECORDS}<?x y?></o>", ONE, TWO),
        refused("hidden.xml", HIDDEN.encode(), "xml_hidden_rows") if OLD else text("hidden.xml", HIDDEN, ONE, TWO),
        text("doctype.xml", f"<!DOCTYPE o><o>{RECORDS}</o>", ONE, TWO),
        text("pretty.xml", "<o>\n  <r>\n    <id> 1 </id>\n    <a>x</a>\n  </r>\n</o>\n", {"id": 1, "a": "x"}),
        text("cdata.xml", "<o><r><a><![CDATA[<b> & c]]></a></r></o>", {"a": "<b> & c"}),
        text("entities.xml", "<o><r><a>&lt;b&gt; &amp; &#228;</a></r></o>", {"a": "<b> & ä"}),
        text("empty-elements.xml", "<o><r><id/><a></a></r><r><id>1</id></r></o>", {"a": ""}, {"id": 1}),
        text("order.xml", "<o><r><a>x</a><id>1</id></r></o>", {"id": 1, "a": "x"}),
        text("misfit.xml", "<o><r><id>one</id><a>x</a></r></o>", {"a": "x", RESCUED: {"id": "one"}}),
        text("unknown.xml", '<o><r k="7"><id>1</id><z><y>2</y></z></r></o>',
             {"id": 1, RESCUED: {"_k": "7", "z": '{"y":"2"}'}}),
        text("twice.xml", "<o><r><id>1</id><a>x</a><a>y</a></r></o>", {"id": 1, "a": '["x","y"]'}),
        text("attribute.xml", "<o><r><id u='m'>1</id><a>x</a></r></o>",
             {"a": "x", RESCUED: {"id": '{"_VALUE":"1","_u":"m"}'}}),
        text("malformed-row.xml", "<o><r><id>1</id></r><r><id>2</x></r></o>", {"id": 1},
             {RESCUED: {"_corrupt_record": "<r><id>2</x></r>"}}),
        data("packed.xml.gz", gzip.compress(f"<o>{RECORDS}</o>".encode()), ONE, TWO),
        refused("page.xml", "<!DOCTYPE html><html><body>no</body></html>", "looks_like_html"),
        refused("table.xml", "id,a\n1,x\n", "not_xml"),
        refused("other-rows.xml", "<o><row><id>1</id></row></o>", "row_tag_missing"),
        refused("zip.xml", b"PK\x03\x04" + bytes(50), "not_text"),
        skipped("blank.xml", " \n", "empty_file"),
    ),
    {"type": "xml", "options": {"row_tag": "r"}, **ABC},
)  # fmt: skip

_ID: dict[str, Any] = {"name": "id", "type": "long"}
_A: dict[str, Any] = {"name": "a", "type": ["null", "string"]}
_N: dict[str, Any] = {"name": "n", "type": "double"}
_THREE = avro_file([_ID, _A, _N], [whole(1) + whole(1) + string("x") + double(1.5)], "deflate")

AVRO = Feed(
    "avro",
    (
        data("whole.avro", _THREE, ONE),
        data("any-name.json", _THREE, ONE),
        data("order.avro", avro_file([_A, _ID], [whole(0) + whole(1), whole(1) + string("ä") + whole(2)]), {"id": 1},
             TWO),
        data("narrow.avro", avro_file([{"name": "id", "type": "int"}], [whole(7)]), {"id": 7}),
        data("unknown.avro", avro_file([_ID, {"name": "z", "type": {"type": "array", "items": "int"}}],
                                       [whole(1) + whole(1) + whole(5) + whole(0)]), {"id": 1, RESCUED: {"z": "[5]"}}),
        data("misfit.avro", avro_file([{"name": "id", "type": "string"}], [string("one")]), {RESCUED: {"id": "one"}}),
        data("no-rows.avro", avro_file([_ID], [])),
        refused("cut.avro", _THREE[:-1], "not_avro"),
        refused("cut-in-header.avro", _THREE[:60], "not_avro"),
        refused("no-records.avro", _THREE.replace(b'"record"', b'"rekord"'), "avro_type"),
        refused("lines.avro", '{"id": 1}\n', "not_avro"),
        skipped("nothing.avro", "", "empty"),
    ),
    {"type": "avro", **ABC},
)  # fmt: skip


def _orc(**columns: Any) -> bytes:
    sink = io.BytesIO()
    orc.write_table(pa.table(columns), sink)
    return sink.getvalue()


_ORC = _orc(id=pa.array([1, 2], pa.int64()), a=pa.array(["x", "ä"]), n=pa.array([1.5, None]))

ORC = Feed(
    "orc",
    (
        data("whole.orc", _ORC, ONE, TWO),
        data("any-name.csv", _ORC, ONE, TWO),
        data("order.orc", _orc(a=pa.array(["x"]), id=pa.array([1], pa.int8())), {"id": 1, "a": "x"}),
        data("unknown.orc", _orc(id=pa.array([1]), z=pa.array([{"y": 2}])), {"id": 1, RESCUED: {"z": '{"y":2}'}}),
        data("misfit.orc", _orc(id=pa.array(["one"])), {RESCUED: {"id": "one"}}),
        data("no-rows.orc", _orc(id=pa.array([], pa.int64()))),
        refused("cut.orc", _ORC[:-3], "not_orc"),
        refused("cut-in-half.orc", _ORC[: len(_ORC) // 2], "not_orc"),
        refused("zoned.orc", _orc(t=pa.array([0], pa.timestamp("us", "UTC"))), "orc_type"),
        refused("twins.orc", _orc(id=pa.array([1]), ID=pa.array([2])), "ambiguous_columns"),
        refused("table.orc", "id,a\n1,x\n", "not_orc"),
    ),
    {"type": "orc", **ABC},
)

TEXT = Feed(
    "text",
    (
        text("lines.log", "one\n\n  two ä\r\nthree", {"value": "one"}, {"value": ""}, {"value": "  two ä"},
             {"value": "three"}),
        text("latin-1.log", "größe\n", {"value": "größe"}, encoding="latin-1"),
        text("utf-16.log", "größe\nend\n", {"value": "größe"}, {"value": "end"}, encoding="utf-16"),
        text("json.log", '{"a": 1}\n', {"value": '{"a": 1}'}),
        data("packed.log", gzip.compress(b"one\n"), {"value": "one"}),
        refused("picture.log", b"\x89PNG\r\n\x1a\n" + bytes(200), "not_text"),
    ),
    {"type": "text"},
    types={"value": "string"},
)  # fmt: skip

BINARY = Feed(
    "binary",
    (
        data("bytes.bin", bytes(range(256)), {"content": bytes(range(256)), "length": 256}),
        data("packed.gz", b"\x1f\x8b\x00", {"content": b"\x1f\x8b\x00", "length": 3}),
    ),
    {"type": "binary"},
    types={"content": "binary", "length": "bigint"},
)

_DOCUMENT = {"meta": {"n": 2}, "data": {"items": [{"id": 1, "a": "x", "n": 1.5}, {"id": 2, "a": "ä"}]}}

AT_A_PATH = Feed(
    "json at a path",
    (
        text("line.json", json.dumps(_DOCUMENT), ONE, TWO),
        text("pretty.json", json.dumps(_DOCUMENT, indent=2, ensure_ascii=False), ONE, TWO),
        text("lines.json", f"{json.dumps(_DOCUMENT)}\n{json.dumps(_DOCUMENT)}\n", ONE, TWO, ONE, TWO),
        text("none.json", '{"data": {"items": []}}'),
        text("strangers.json", '{"data": {"items": [5, {"id": 1, "z": 2}]}}', {RESCUED: {"_corrupt_record": "5"}},
             {"id": 1, RESCUED: {"z": "2"}}),
        refused("elsewhere.json", '{"data": [{"id": 1}]}', "records_missing"),
        refused("cut.json", json.dumps(_DOCUMENT, indent=2)[:-8], "json_cut"),
        refused("error.json", '{"error": "no access"}', "records_missing"),
    ),
    {"type": "json", "options": {"records_path": "data.items[*]"}, **ABC},
)  # fmt: skip

FEEDS = (XML, AVRO, ORC, TEXT, BINARY, AT_A_PATH)
