"""CSV that has to be told about: other encodings, no header, other quotes, words that mean nothing; and gzip."""

from __future__ import annotations

import bz2
import gzip
import zlib

from tests.corpus.case import Feed, columns, data, refused, skipped, text
from tests.corpus.csv_dialects import row

PEOPLE = "id,a,b\n1,Jürgen,Ærø\n2,naïve,ÿ\n"
PERSONS = (row(1, "Jürgen", "Ærø"), row(2, "naïve", "ÿ"))
WINDOWS = "id;a;b\r\n1;“5 €”;–\r\n"
ABC = columns("id bigint, a string, b string")

ENCODINGS = (
    Feed(
        "csv utf-16",
        (
            text("little-endian-mark.csv", "\ufeff" + PEOPLE, *PERSONS, encoding="utf-16-le"),
            text("big-endian-mark.csv", "\ufeff" + PEOPLE, *PERSONS, encoding="utf-16-be"),
            text("tabs-and-windows.csv", "\ufeffid\ta\tb\r\n1\tx\ty\r\n2\t日本\t😀\r\n", row(1, "x", "y"),
                 row(2, "日本", "😀"), encoding="utf-16-le"),
            refused("no-mark.csv", PEOPLE.encode("utf-16-le"), "encoding_mismatch"),
        ),
        {"type": "csv", "options": {"encoding": "UTF-16"}, **ABC},
    ),
    Feed(
        "csv latin-1",
        (
            text("people.csv", PEOPLE, *PERSONS, encoding="latin-1"),
            text("header.csv", "id,a,größe\n1,x,ü\n", row(1, "x", größe="ü"), encoding="latin-1"),
        ),
        {"type": "csv", "options": {"encoding": "ISO-8859-1"}, **ABC},
    ),
    Feed(
        "csv windows-1252",
        (text("quotes-and-euro.csv", WINDOWS, row(1, "“5 €”", "–"), encoding="cp1252"),
         text("people.csv", PEOPLE, *PERSONS, encoding="cp1252")),
        {"type": "csv", "options": {"encoding": "windows-1252"}, **ABC},
    ),
)  # fmt: skip

BARE = Feed(
    "csv without a header",
    (
        text("unix.csv", "1,x\n2,\n", {"_c0": 1, "_c1": "x"}, {"_c0": 2}),
        text("windows-with-mark.csv", "\ufeff3,x\r\n4,y\r\n", {"_c0": 3, "_c1": "x"}, {"_c0": 4, "_c1": "y"}),
        text("one-row.csv", "5,z", {"_c0": 5, "_c1": "z"}),
        text("one-more.csv", "6,z,!\n", {"_c0": 6, "_c1": "z", "_rescued": {"_c2": "!"}}),
    ),
    {"type": "csv", "options": {"header": False}, **columns("_c0 bigint, _c1 string")},
)

NOTHING = Feed(
    "csv with a word for nothing",
    (text("na.csv", 'id,a,b\n1,NA,x\nNA,y,na\n2,"NA",NAN\n', row(1, None, "x"), row(None, "y", "na"),
          row(2, None, "NAN")),),
    {"type": "csv", "options": {"null_value": "NA"}, **ABC},
)  # fmt: skip

QUOTED = Feed(
    "csv with apostrophes and backslashes",
    (
        text("escaped.csv", "id|a|b\n1|'it\\'s'|'a|b'\n2|\"x\"|y\n", row(1, "it's", "a|b"), row(2, '"x"', "y")),
        text("breaks.csv", "id|a|b\n1|'x\ny'|z\n", row(1, "x\ny", "z")),
    ),
    {"type": "csv", "options": {"quote": "'", "escape": "\\", "delimiter": "|"}, **ABC},
)

UNQUOTED = Feed(
    "csv without quotes",
    (text("inches.csv", 'id,a,b\n1,5" disk,"y"\n2,"x,z\n', row(1, '5" disk', '"y"'), row(2, '"x', "z")),),
    {"type": "csv", "options": {"quote": "", "delimiter": ","}, **ABC},
)

LINE_BY_LINE = Feed(
    "csv line by line",
    (
        text("plain.csv", "id,a,b\n1,x,y\r\n2,ä,z\n", row(1, "x", "y"), row(2, "ä", "z")),
        text("open-quote.csv", 'id,a,b\n1,"x,y\n2,ä,z\n', row(1, "x,y", corrupt='1,"x,y'), row(2, "ä", "z")),
    ),
    {"type": "csv", "options": {"multiline": False}, **ABC},
)


def packed(*parts: str) -> bytes:
    return b"".join(gzip.compress(part.encode(), mtime=0) for part in parts)


BODY = "id,a,b\n" + "".join(f"{at},x{at},y\n" for at in range(50_000))
WHOLE = gzip.compress(BODY.encode(), mtime=0)
FLIPPED = WHOLE[: len(WHOLE) // 2] + bytes([WHOLE[len(WHOLE) // 2] ^ 0xFF]) + WHOLE[len(WHOLE) // 2 + 1 :]

GZIP = Feed(
    "gzip",
    (
        data("one.csv.gz", packed("id,a,b\n1,x,y\n"), row(1, "x", "y")),
        data("several-members.csv.gz", packed("id,a,b\n1,x,y\n", "2,ä,z\n"), row(1, "x", "y"), row(2, "ä", "z")),
        data("mark-and-windows.csv.gz", packed("\ufeffid,a,b\r\n1,x,y\r\n"), row(1, "x", "y")),
        skipped("only-a-header.csv.gz", packed("id,a,b\n"), "no_rows"),
        skipped("nothing-in-it.csv.gz", packed(""), "empty_file"),
        text("not-gzip.csv.gz", "id,a,b\n1,x,y\n", row(1, "x", "y")),
        data("gzip-unnamed.csv", packed("id,a,b\n1,x,y\n"), row(1, "x", "y")),
        data("gzip-called-bzip2.csv.bz2", packed("id,a,b\n1,x,y\n"), row(1, "x", "y")),
        data("bzip2 called %41 #1.csv.gz", bz2.compress(b"id,a,b\n1,x,y\n"), row(1, "x", "y")),
        data("zlib.csv", zlib.compress(b"id,a,b\n1,x,y\n"), row(1, "x", "y")),
        refused("frame.csv.lz4", b"\x04\x22\x4d\x18" + bytes(50), "compression_mismatch"),
        refused("xz.csv", b"\xfd7zXZ\x00" + bytes(50), "compression_mismatch"),
        refused("unnamed-cut-later.csv", WHOLE[:-40], "file_unreadable"),
        data("bzip2.csv.bz2", bz2.compress(b"id,a,b\n1,x,y\n"), row(1, "x", "y")),
        data("bzip2-unnamed.csv", bz2.compress(b"id,a,b\n1,x,y\n"), row(1, "x", "y")),
        refused("short-and-cut.csv.gz", packed("id,a,b\n1,x,y\n")[:-9], "gzip_damaged"),
        refused("cut-later.csv.gz", WHOLE[:-40], "file_unreadable"),
        refused("damaged-later.csv.gz", FLIPPED, "file_unreadable"),
        refused("text-behind.csv.gz", packed("id,a,b\n1,x,y\n") + b"and more", "file_unreadable"),
    ),
    {"type": "csv", **ABC},
)

FEEDS = (*ENCODINGS, BARE, NOTHING, QUOTED, UNQUOTED, LINE_BY_LINE, GZIP)
