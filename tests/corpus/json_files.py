"""JSON records a line and JSON documents: numbers of any size, odd strings, nesting, and what is cut or malformed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.corpus.case import RESCUED, Feed, File, Row, columns, refused, skipped, text

CORRUPT = "_corrupt_record"
TYPES = (
    "id bigint, a string, n double, m decimal(30,6), ok boolean, t timestamp, y date, "
    "s struct<x:bigint,y:string>, l array<bigint>, p map<string,double>, o array<struct<k:string,v:bigint>>"
)
ONE, TWO = {"id": 1, "a": "x"}, {"id": 2, "a": "ä"}
LINE_ONE, LINE_TWO = '{"id":1,"a":"x"}', '{"id":2,"a":"ä"}'


def broken(line: str) -> Row:
    """A line that is no object stays as a row with nothing but its text."""
    return {RESCUED: {CORRUPT: line}}


def lines(name: str, *pairs: tuple[str, Row]) -> File:
    """Line → its row."""
    return text(name, "".join(f"{line}\n" for line, _ in pairs), *(row for _, row in pairs))


def column(name: str, column: str, fits: dict[str, Any], misfits: dict[str, str] | None = None) -> File:
    """JSON of one value → what ``column`` holds of it; or what is rescued of it."""
    pairs = [*fits.items(), *((given, None) for given in misfits or {})]
    made = []
    for at, (given, value) in enumerate(pairs):
        kept: Row = {column: value} if given in fits else {RESCUED: {column: (misfits or {})[given]}}
        made.append((f'{{"id":{at},"{column}":{given}}}', {"id": at} | ({} if kept == {column: None} else dict(kept))))
    return lines(name, *made)


def kept(*texts: str) -> dict[str, str]:
    """Texts that are rescued as they are."""
    return {each: each for each in texts}


LAYOUT = (
    text("lines.json", f"{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO),
    text("windows.json", f"{LINE_ONE}\r\n{LINE_TWO}\r\n", ONE, TWO),
    text("old-mac.json", f"{LINE_ONE}\r{LINE_TWO}\r", ONE, TWO),
    text("no-last-line-end.json", f"{LINE_ONE}\n{LINE_TWO}", ONE, TWO),
    text("blank-lines.json", f"\n\n{LINE_ONE}\n   \n\n{LINE_TWO}\n\n", ONE, TWO),
    text("spaces.json", f'  {LINE_ONE}  \n\t{{ "id" : 2 , "a" : "ä" }}\t\n', ONE, TWO),
    text("mark.json", f"\ufeff{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO),
    text("latin-1.json", f"{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO, encoding="latin-1"),
    text("utf-16.json", f"\ufeff{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO, encoding="utf-16-le"),
    text("pretty.json", json.dumps(ONE, indent=2), ONE),
    text("pretty-windows.json", json.dumps(ONE, indent=2).replace("\n", "\r\n"), ONE),
    text("array.json", json.dumps([ONE, TWO]), ONE, TWO),
    text("pretty-array.json", json.dumps([ONE, TWO], indent=4, ensure_ascii=False), ONE, TWO),
    text("array-a-line-each.json", f"[\n{LINE_ONE},\n{LINE_TWO}\n]\n", ONE, TWO),
    text("mark-and-array.json", "\ufeff" + json.dumps([ONE, TWO]), ONE, TWO),
    text("array-of-nothing.json", "[]"),
    text("array-with-strangers.json", f'[{LINE_ONE}, 5, null, "x", [1]]',
         ONE, broken("5"), broken("x"), broken("[1]")),
    text("empty-objects.json", "{}\n{}\n", {}, {}),
    text("records.jsonl", f"{LINE_ONE}\n", ONE),
    text("records.ndjson", f"{LINE_TWO}\n", TWO),
)  # fmt: skip

BROKEN = (
    refused("cut-in-the-last-line.json", f'{LINE_ONE}\n{{"id":2,"a":"ä', "json_cut"),
    refused("cut-array.json", f"[{LINE_ONE},\n{LINE_TWO}", "json_cut"),
    refused("cut-pretty.json", '{\n  "id": 1,\n  "a": "x', "json_cut"),
    lines("strangers.json", (LINE_ONE, ONE), ("[1,2]", broken("[1,2]")), ("5", broken("5")), ("null", broken("null")),
          ('"x"', broken('"x"')), ("junk", broken("junk")), (LINE_TWO, TWO)),
    lines("malformed.json", ('{"id":1,}', broken('{"id":1,}')), ("{id:1}", broken("{id:1}")),
          ('{"id":1 "a":2}', broken('{"id":1 "a":2}')), ('{"id":01}', broken('{"id":01}')),
          ('{"id":+1}', broken('{"id":+1}')), ('{"id":.5}', broken('{"id":.5}')), ('{"id":0x1}', broken('{"id":0x1}')),
          ('{"id":True}', broken('{"id":True}')), ('{"a":"x\ty"}', broken('{"a":"x\ty"}')),
          ('{"a":"\\x"}', broken('{"a":"\\x"}')), ('{"a":"\\u12"}', broken('{"a":"\\u12"}')),
          ('{"id":1}//', broken('{"id":1}//')), (LINE_ONE + LINE_TWO, broken(LINE_ONE + LINE_TWO)),
          (f"{LINE_ONE},", broken(f"{LINE_ONE},")), (LINE_TWO, TWO)),
    refused("merge-conflict.json", f"{LINE_ONE}\n<<<<<<< us\n{LINE_TWO}\n=======\n>>>>>>> them\n", "merge_conflict"),
    lines("deeper-than-any-parser.json", ('{"a":' + "[" * 1500 + "]" * 1500 + "}",
                                          broken('{"a":' + "[" * 1500 + "]" * 1500 + "}")), (LINE_TWO, TWO)),
)  # fmt: skip

KEYS = (
    lines("twice.json", ('{"id":1,"a":"x","a":"z"}',
                         {**ONE, RESCUED: {CORRUPT: '{"id":1,"a":"x","a":"z"}', "a": "z"}}),
          ('{"id":2,"a":null,"a":"ä"}', TWO)),
    lines("case-twins.json", ('{"id":1,"ID":3,"a":"x"}', {**ONE, RESCUED: {"ID": "3"}}), ('{"ID":2,"A":"ä"}', TWO),
          ('{"Id":4,"iD":5}', {"id": 4, RESCUED: {"iD": "5"}})),
    lines("strange-keys.json", ('{"id":1,"a":"x","":0,"a.b":1,"a`b":2,"😀":3,"\\"":4}',
                                {**ONE, RESCUED: {"": "0", "a.b": "1", "a`b": "2", "😀": "3", '"': "4"}})),
    lines("our-keys.json", ('{"id":1,"a":"x","_batch_id":"m","_file_path":"p","_corrupt_record":"c"}',
                            {**ONE, RESCUED: {"_batch_id": "m", "_file_path_": "p", "_corrupt_record_": "c"}})),
    lines("escaped-key.json", ('{"\\u0069d":1,"a":"x"}', ONE)),
    lines("new-keys.json", ('{"id":1,"a":"x","new":{"deep":[1,{"x":null}]},"more":[],"none":null,"nil":{}}',
                            {**ONE, RESCUED: {"new": '{"deep":[1,{"x":null}]}', "more": "[]", "nil": "{}"}})),
    lines("other-order.json", ('{"a":"x","id":1}', ONE), ('{"a":"ä"}', {"a": "ä"})),
    lines("many-keys.json", ("{" + ",".join(f'"k{at}":{at}' for at in range(500)) + "}",
                             {RESCUED: {f"k{at}": str(at) for at in range(500)}})),
)  # fmt: skip

NUMBERS = (
    column("doubles.json", "n",
           {"1.5": 1.5, "0.1": 0.1, "1e5": 1e5, "-0.0": -0.0, "3": 3.0, "0.30000000000000004": 0.30000000000000004,
            "6.022140761234568e+23": 6.022140761234568e+23, "1.2345678901234568e-10": 1.2345678901234568e-10,
            "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"), "1.7976931348623157e308":
            1.7976931348623157e308, "1E-5": 1e-5, '"2.5"': 2.5, '"NaN"': float("nan"), "null": None},
           {**kept("1e400", "0.12345678901234567890", "3.0000000000000001", "1.23456789012345678901e-10",
                   "0.10000000000000000555", "9007199254740993"),
            '"1,5"': "1,5", "true": "true", "[1]": "[1]", '{"v":1}': '{"v":1}', '"x"': "x"}),
    column("exact.json", "m",
           {"1": Decimal("1.000000"), "1.5": Decimal("1.500000"), "123456789012345678901234.123456":
            Decimal("123456789012345678901234.123456"), "1e3": Decimal("1000.000000"),
            "-0.000001": Decimal("-0.000001"),
            '"7.25"': Decimal("7.250000"), "12345678901234567890": Decimal("12345678901234567890.000000")},
           {"0.0000001": "0.0000001", "1234567890123456789012345": "1234567890123456789012345", '"1,5"': "1,5"}),
    lines("whole-numbers.json",
          *((f'{{"id":{given},"a":"{at}"}}', {"id": value, "a": str(at)}) for at, (given, value) in enumerate(
              [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("1.0", 1), ("1e3", 1000),
               ("12345678.0", 12345678), ("9007199254740993", 2**53 + 1), ('"5"', 5), ("0", 0)])),
          *((f'{{"id":{given}}}', {RESCUED: {"id": given.strip('"')}}) for given in (
              "9223372036854775808", "1.5", "3.0000000000000001", "2.50", '"007"', '"+5"', "true", '"five"', "[5]",
              "123456789012345678901234567890", "1e30"))),
)  # fmt: skip

STRINGS = (
    column("strings.json", "a",
           {'"\\u00e4"': "ä", '"\\ud83d\\ude00"': "😀", '"😀"': "😀", '"\\"\\\\\\/\\b\\f\\n\\r\\t"': '"\\/\b\f\n\r\t',
            '"line\u2028sep"': "line\u2028sep", '" x "': " x ", '"null"': "null", '"5"': "5", '"007"': "007",
            '"日本"': "日本", '"e\u0301"': "e\u0301", '"{\\"x\\":1}"': '{"x":1}', '"[1"': "[1", '"1e400"': "1e400",
            '"\\u0001"': "\x01", '"\\u007f"': "\x7f", "5": "5", "1.50": "1.50", "1e5": "1e5", "true": "true",
            "12345678901234567890.50": "12345678901234567890.50", '{"x":1}': '{"x":1}', '[1, "b"]': '[1,"b"]',
            "null": None}),
    text("long-string.json", json.dumps({"id": 1, "a": "long " * 100_000}) + "\n", {"id": 1, "a": "long " * 100_000}),
    text("nothing-in-it.json", '{"id":1,"a":"","l":[],"s":{},"p":{},"t":"","n":null}\n',
         {"id": 1, "a": "", "l": [], "s": {"x": None, "y": None}, "p": {}}),
    text("apostrophes.json", "{'id':1,'a':'x'}\n", ONE),
)  # fmt: skip

MOMENTS = (
    column("moments.json", "t",
           {'"2024-01-02T03:04:05Z"': "2024-01-02 03:04:05", '"2024-01-02"': "2024-01-02 00:00:00",
            '"2024-01-02 03:04:05.123456"': "2024-01-02 03:04:05.123456",
            '"2024-01-02T03:04:05+05:30"': "2024-01-01 21:34:05"},
           {"1704164645": "1704164645", '"2024-02-30"': "2024-02-30",
            '"/Date(1704164645000)/"': "/Date(1704164645000)/",
            '{"$date":"2024-01-02"}': '{"$date":"2024-01-02"}'}),
    column("days.json", "y", {'"2024-02-29"': "2024-02-29"}, {'"2024-02-30"': "2024-02-30", "20240229": "20240229",
                                                              '"2024-02-29T00:00:00Z"': "2024-02-29T00:00:00Z"}),
    column("booleans.json", "ok", {"true": True, "false": False, '"true"': True},
           {"1": "1", "0": "0", '"yes"': "yes", "[]": "[]"}),
)  # fmt: skip

NESTED = (
    column("structs.json", "s",
           {'{"x":1,"y":"b"}': {"x": 1, "y": "b"}, '{"y":"b"}': {"x": None, "y": "b"}, '{"x":null}':
            {"x": None, "y": None}, '{"y":{"z":[1]}}': {"x": None, "y": '{"z":[1]}'}}),
    lines("structs-in-part.json",
          *((f'{{"s":{given}}}', {**({"s": kept} if kept else {}), RESCUED: {"s": given}}) for given, kept in (
              ('{"x":1,"z":2}', {"x": 1, "y": None}), ('{"x":"one","y":"b"}', {"x": None, "y": "b"}),
              ('{"x":1.5}', {"x": None, "y": None}), ("[1]", None), ("5", None),
              ('{"x":2.50}', {"x": None, "y": None}), ('{"X":1}', {"x": None, "y": None})))),
    column("lists.json", "l", {"[1,2]": [1, 2], "[]": [], "[null,3]": [None, 3], "[1.0]": [1],
                               "[9223372036854775807]": [2**63 - 1]}),
    lines("lists-in-part.json",
          *((f'{{"l":{given}}}', {**({"l": kept} if kept else {}), RESCUED: {"l": given}}) for given, kept in (
              ("[1,2.5]", [1, None]), ('["x",2]', [None, 2]), ("[[1]]", [None]), ("5", None), ('{"x":1}', None)))),
    column("maps.json", "p", {'{"k":1.5,"l":2}': {"k": 1.5, "l": 2.0}, '{"k":null}': {"k": None}, '{"":1}': {"": 1.0}}),
    column("lists-of-structs.json", "o", {'[{"k":"a","v":1},{"v":2}]': [{"k": "a", "v": 1}, {"k": None, "v": 2}],
                                          "[null]": [None]}),
    lines("numbers-within.json",
          ('{"id":1,"s":{"x":1,"y":1.50},"o":[{"k":1.0000000000000000001,"v":2.0}]}',
           {"id": 1, "s": {"x": 1, "y": "1.50"}, "o": [{"k": "1.0000000000000000001", "v": 2}]}),
          ('{"id":2,"s":{"y":{"at":[-122.76400184631348,1e400,"1.50"]}},"a":{"v":[1.10,12345678901234567.5]}}',
           {"id": 2, "s": {"x": None, "y": '{"at":[-122.76400184631348,1e400,"1.50"]}'},
            "a": '{"v":[1.10,12345678901234567.5]}'})),
    lines("fifty-levels.json", ('{"id":1,"a":' + '{"b":[' * 25 + "1" + "]}" * 25 + "}",
                                {"id": 1, "a": '{"b":[' * 25 + "1" + "]}" * 25})),
)  # fmt: skip

NOT_JSON = (
    skipped("nothing.json", "", "empty"),
    skipped("blank.json", " \n\n", "empty_file"),
    refused("table.json", "id,a\n1,x\n", "not_json"),
    refused("number.json", "5\n", "not_json"),
    refused("page.json", "<html><body>502 Bad Gateway</body></html>", "looks_like_html"),
    refused("several-pretty.json", json.dumps(ONE, indent=1) + "\n" + json.dumps(TWO, indent=1), "json_concatenated"),
    refused("parquet.json", b"PAR1" + bytes(50), "not_text"),
)

TYPED = Feed(
    "json",
    LAYOUT + BROKEN + KEYS + NUMBERS + STRINGS + MOMENTS + NESTED + NOT_JSON,
    {"type": "json", **columns(TYPES)},
)

GUESSED = Feed(
    "json guessed",
    (
        lines(
            "types.json",
            ('{"id":1,"x":1.5,"ok":true,"s":"a","day":"2024-01-02","at":"2024-01-02T03:04:05Z","q":"5",'
             '"tags":["a"],"who":{"name":"Ann","age":5,"at":"2024-01-02"},"big":12345678901234567890,"none":null,'
             '"mixed":1,"nil":{},"list":[],"pairs":[{"k":1},{"v":"x"}],"two":[[1],[2,3]]}',
             {"id": 1, "x": 1.5, "ok": True, "s": "a", "day": "2024-01-02", "at": "2024-01-02 03:04:05", "q": "5",
              "tags": ["a"], "who": {"name": "Ann", "age": 5, "at": "2024-01-02"},
              "big": Decimal("12345678901234567890"), "mixed": "1", "nil": "{}", "list": [],
              "pairs": [{"k": 1, "v": None}, {"k": None, "v": "x"}], "two": [[1], [2, 3]]}),
            ('{"id":2,"x":2,"mixed":"two"}', {"id": 2, "x": 2.0, "mixed": "two"}),
        ),
        lines("later.json",
              ('{"id":3,"later":[{"deep":{"er":1}}],"who":{"name":"Bob"}}',
               {"id": 3, "later": [{"deep": {"er": 1}}], "who": {"name": "Bob", "age": None, "at": None}})),
    ),
    {"type": "json"},
    types={
        "id": "bigint", "x": "double", "ok": "boolean", "s": "string", "day": "date", "at": "timestamp", "q": "string",
        "tags": "array<string>", "who": "struct<age:bigint,at:string,name:string>", "big": "decimal(20,0)",
        "none": "string", "mixed": "string", "nil": "string", "list": "array<string>",
        "pairs": "array<struct<k:bigint,v:string>>", "two": "array<array<bigint>>",
        "later": "array<struct<deep:struct<er:bigint>>>",
    },
)  # fmt: skip

UTF_16 = Feed(
    "json utf-16",
    (
        text("marked.json", f"\ufeff{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO, encoding="utf-16-le"),
        text("big-endian.json", f"\ufeff{LINE_ONE}\r\n{LINE_TWO}", ONE, TWO, encoding="utf-16-be"),
        text("array.json", "\ufeff" + json.dumps([ONE, TWO], indent=1), ONE, TWO, encoding="utf-16-le"),
    ),
    {"type": "json", "options": {"encoding": "UTF-16"}, **columns("id bigint, a string")},
)

LATIN_1 = Feed(
    "json latin-1",
    (
        text("lines.json", f"{LINE_ONE}\n{LINE_TWO}\n", ONE, TWO, encoding="latin-1"),
        text("pretty.json", '{\n"id": 2,\n"a": "ä"\n}', TWO, encoding="latin-1"),
        text("keys.json", '{"id":1,"größe":"ü"}\n', {"id": 1, RESCUED: {"größe": "ü"}}, encoding="latin-1"),
    ),
    {"type": "json", "options": {"encoding": "latin-1"}, **columns("id bigint, a string")},
)

FEEDS = (TYPED, GUESSED, UTF_16, LATIN_1)
