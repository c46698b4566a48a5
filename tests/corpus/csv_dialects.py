"""CSV as the world writes it: delimiters, quotes, line ends, headers, ragged rows; and what only calls itself CSV."""

from __future__ import annotations

from typing import Any

from tests.corpus.case import RESCUED, Feed, Row, columns, refused, skipped, text

LONG = "long " * 60_000  # 300 kB in one field
MANY = tuple(f"x{at}" for at in range(60))


def row(number: int | None, a: str | None = None, b: str | None = None, **rescued: str) -> Row:
    """``rescued``: key → text; what has no other name in Python is given as ``corrupt``."""
    found: dict[str, Any] = {"id": number, "a": a, "b": b}
    if "corrupt" in rescued:
        rescued["_corrupt_record"] = rescued.pop("corrupt")
    return {key: value for key, value in found.items() if value is not None} | ({RESCUED: rescued} if rescued else {})


ONE, TWO = row(1, "x", "y"), row(2, "ä", "z")

LINES = (
    text("unix.csv", "id,a,b\n1,x,y\n2,ä,z\n", ONE, TWO),
    text("windows.csv", "id,a,b\r\n1,x,y\r\n2,ä,z\r\n", ONE, TWO),
    text("old-mac.csv", "id,a,b\r1,x,y\r2,ä,z\r", ONE, TWO),
    text("header-windows-rows-unix.csv", "id,a,b\r\n1,x,y\n2,ä,z\n", ONE, TWO),
    text("header-unix-rows-windows.csv", "id,a,b\n1,x,y\r\n2,ä,z\r\n", ONE, TWO),
    text("no-last-line-end.csv", "id,a,b\n1,x,y\n2,ä,z", ONE, TWO),
    text("blank-lines.csv", "\n\nid,a,b\n\n1,x,y\n\n\n2,ä,z\n\n\n", ONE, TWO),
    text("mark.csv", "\ufeffid,a,b\n1,x,y\n2,ä,z\n", ONE, TWO),
    text("mark-and-quoted-header.csv", '\ufeff"id","a","b"\n1,x,y\n2,ä,z\n', ONE, TWO),
    text("odd-line-ends-in-values.csv", "id,a,b\n1,x\u2028x,y\u0085y\n2,\x0bx,y\x0c\n",
         row(1, "x\u2028x", "y\u0085y"), row(2, "\x0bx", "y\x0c")),
    text("dos-end-of-file.csv", "id,a,b\r\n1,x,y\r\n\x1a", ONE, row(None, corrupt="\x1a", id="\x1a")),
)  # fmt: skip

FOUND_OUT = (
    text("utf-16.csv", "\ufeffid,a,b\n1,x,y\n2,ä,z\n", ONE, TWO, encoding="utf-16-le"),
    text("latin-1.csv", "id,a,b\n1,x,y\n2,ä,z\n", ONE, TWO, encoding="latin-1"),
)

DELIMITERS = (
    text("semicolon.csv", "id;a;b\n1;x;y\n2;ä;z\n", ONE, TWO),
    text("tab.tsv", "id\ta\tb\n1\tx\ty\n2\tä\tz\n", ONE, TWO),
    text("bar.csv", "id|a|b\n1|x|y\n2|ä|z\n", ONE, TWO),
    text("commas-in-semicolon.csv", "id;a;b\n1;x,x,x;y\n2;1,5;z\n", row(1, "x,x,x", "y"), row(2, "1,5", "z")),
    text("semicolons-in-comma.csv", "id,a,b\n1,x;x;x;x;x,y\n", row(1, "x;x;x;x;x", "y")),
    text("one-column.csv", "a\nx\ny\n", row(None, "x"), row(None, "y")),
)

QUOTES = (
    text("delimiter-in-quotes.csv", 'id,a,b\n1,"x, y","z"\n', row(1, "x, y", "z")),
    text("doubled-quotes.csv", 'id,a,b\n1,"say ""hi""","""x"""\n', row(1, 'say "hi"', '"x"')),
    text("only-quotes.csv", 'id,a,b\n1,"""",""""""\n', row(1, '"', '""')),
    text("line-break-in-quotes.csv", 'id,a,b\n1,"x\n\ny","z"\n2,ä,z\n', row(1, "x\n\ny", "z"), TWO),
    text("windows-line-break-in-quotes.csv", 'id,a,b\r\n1,"x\r\ny",z\r\n2,ä,z\r\n', row(1, "x\r\ny", "z"), TWO),
    text("unix-break-in-windows-file.csv", 'id,a,b\r\n1,"x\ny",z\r\n2,ä,z\r\n', row(1, "x\ny", "z"), TWO),
    text("windows-break-in-unix-file.csv", 'id,a,b\n1,"x\r\ny",z\n2,ä,z\n', row(1, "x\r\ny", "z"), TWO),
    text("quote-within-a-word.csv", 'id,a,b\n1,5" disk,y\n2,ä"ä"ä,z\n', row(1, '5" disk', "y"), row(2, 'ä"ä"ä', "z")),
    text("backslash-in-quotes.csv", 'id,a,b\n1,"C:\\dir\\","y"\n', row(1, "C:\\dir\\", "y")),
    text("everything-quoted.csv", '"id","a","b"\n"1","x","y"\n"2","ä","z"\n', ONE, TWO),
    text("space-before-quote.csv", 'id,a,b\n1, "x",y\n', row(1, ' "x"', "y")),
    text("spaces-are-kept.csv", "id,a,b\n 1 , x ,y  \n", row(1, " x ", "y  ")),
    text("apostrophes.csv", "id,a,b\n1,it's,'y'\n", row(1, "it's", "'y'")),
    text("empty-and-quoted-empty.csv", 'id,a,b\n1,,y\n2,"",z\n', row(1, None, "y"), row(2, None, "z")),
    text("huge-field.csv", f'id,a,b\n1,{LONG},y\n2,"{LONG}",z\n', row(1, LONG, "y"), row(2, LONG, "z")),
    text("scripts.csv", "id,a,b\n1,日本語,😀\n2,עברית,e\u0301\n", row(1, "日本語", "😀"), row(2, "עברית", "e\u0301")),
)

RAGGED = (
    text("short-rows.csv", "id,a,b\n1,x,y\n2,ä\n3\n", ONE, row(2, "ä", corrupt="2,ä"), row(3, corrupt="3")),
    text("long-rows.csv", "id,a,b\n1,x,y\n2,ä,z,more,and more\n", ONE, row(2, "ä", "z", corrupt="2,ä,z,more,and more")),
    text("comma-at-each-end.csv", "id,a,b\n1,x,y,\n", row(1, "x", "y", corrupt="1,x,y,")),
    text("comma-in-header-too.csv", "id,a,b,\n1,x,y,\n2,ä,z,!\n", ONE, row(2, "ä", "z", _c3="!")),
    text("row-of-commas.csv", "id,a,b\n,,\n1,x,y\n", {}, ONE),
    text("header-again.csv", "id,a,b\n1,x,y\nid,a,b\n2,ä,z\n", ONE, row(None, "a", "b", id="id"), TWO),
    text("comment-lines-are-rows.csv", "id,a,b\n# note\n1,x,y\n", row(None, corrupt="# note", id="# note"), ONE),
)

HEADERS = (
    text("other-order.csv", "b,id,a\ny,1,x\n", ONE),
    text("other-case.csv", "ID,A,B\n1,x,y\n", ONE),
    text("spaces-in-header.csv", " id , a,b \n1,x,y\n", ONE),
    text("fewer-columns.csv", "id\n7\n", row(7)),
    text("more-columns.csv", "id,a,b,c\n1,x,y,new\n2,ä,z,\n", row(1, "x", "y", c="new"), TWO),
    text("twice.csv", "id,a,a,b\n1,x,other,y\n", row(1, "x", "y", a_2="other")),
    text("twice-but-for-case.csv", "id,a,A,b\n1,x,other,y\n", row(1, "x", "y", A_2="other")),
    text("nameless.csv", "id,a,,b,\n1,x,2nd,y,4th\n", row(1, "x", "y", _c2="2nd", _c4="4th")),
    text("ours.csv", "id,a,b,_batch_id\n1,x,y,mine\n", {**ONE, RESCUED: {"_batch_id_2": "mine"}}),
    text("not-ascii.csv", "id,a,b,größe,名前\n1,x,y,3,n\n", {**ONE, RESCUED: {"größe": "3", "名前": "n"}}),
    text("dots-and-ticks.csv", "id,a,b,x.y,`t`\n1,x,y,3,4\n", {**ONE, RESCUED: {"x.y": "3", "`t`": "4"}}),
    text("metadata.csv", "id,a,b,_metadata\n1,x,y,m\n", {**ONE, RESCUED: {"_metadata": "m"}}),
    text("long-name.csv", f"id,a,b,{'n' * 4000}\n1,x,y,m\n", {**ONE, RESCUED: {"n" * 4000: "m"}}),
    text("line-break-in-header.csv", 'id,a,b,"first\nsecond"\n1,x,y,m\n', {**ONE, RESCUED: {"first\nsecond": "m"}}),
    text("many-columns.csv", f"id,a,b,{','.join(MANY)}\n1,x,y,{',' * 59}last\n", row(1, "x", "y", x59="last")),
    skipped("only-a-header.csv", "id,a,b\n", "no_rows"),
    skipped("only-a-header-without-end.csv", "id,a,b", "no_rows"),
)  # fmt: skip

NOT_CSV = (
    skipped("nothing.csv", "", "empty"),
    skipped("blank.csv", "  \n\n \n", "empty_file"),
    skipped("only-a-mark.csv", "\ufeff", "empty_file"),
    refused("error-page.csv", "<!DOCTYPE html>\n<html><body>Not found, sorry</body></html>\n", "looks_like_html"),
    refused("denied.csv", '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "looks_like_html"),
    refused("objects.csv", '{"id":1,"a":"x"}\n{"id":2}\n', "looks_like_json"),
    refused("array.csv", '[{"id":1,"a":"x"}]\n', "looks_like_json"),
    refused("parquet.csv", b"PAR1" + bytes(100) + b"PAR1", "not_text"),
    refused("workbook.csv", b"PK\x03\x04" + bytes(100), "not_text"),
    refused("binary.csv", bytes(range(256)) * 4, "not_text"),
    text("utf-16-big-endian-unmarked.csv", "id,a,b\n1,x,y\n", ONE, encoding="utf-16-be"),
    text("windows-1252.csv", "id,a,b\n1,“ä” €,y\n", row(1, "“ä” €", "y"), encoding="cp1252"),
    refused("damaged-utf-8.csv", "id,a,b\n1,äöü,y\n".encode() + b"2,\xe4,z\n", "encoding_mismatch"),
    refused("latin-1-later.csv", b"id,a,b\n" + b"1,x,y\n" * 20_000 + b"2,\xe4,z\n", "encoding_mismatch"),
    refused("open-quote.csv", '"id,a,b\n1,x,y\n', "header_unreadable"),
    refused("five-thousand-and-one.csv", ",".join(f"c{at}" for at in range(5001)) + "\n", "too_many_columns"),
)

DIALECTS = Feed(
    "csv",
    LINES + FOUND_OUT + DELIMITERS + QUOTES + RAGGED + HEADERS + NOT_CSV,
    {"type": "csv", **columns("id bigint, a string, b string")},
)
