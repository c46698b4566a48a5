"""Values as people and programs write them, against columns of each type: what says exactly a value of the type is one,
and anything else is rescued as it was written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.corpus.case import RESCUED, Feed, File, Row, columns, skipped, text

TYPES = (
    "n bigint, i bigint, k int, d double, f float, m decimal(12,2), b boolean, y date, t timestamp, l timestamp_ntz, "
    "s string"
)


def values(name: str, column: str, fits: Mapping[str, Any], misfits: Sequence[str] = ()) -> File:
    """A file with one value of ``column`` a row: text → what it becomes, and texts that have to be rescued."""
    rows: list[Row] = []
    texts = [*fits, *misfits]
    for at, given in enumerate(texts):
        kept = {column: fits[given]} if given in fits else {RESCUED: {column: given}}
        rows.append({"n": at, **kept})
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows([["n", column], *([at, each] for at, each in enumerate(texts))])
    return text(name, body.getvalue(), *rows)


def kept(*texts: str) -> dict[str, str]:
    """Texts that stand in the table as they are."""
    return {each: each for each in texts}


NUMBERS = (
    values(
        "whole-numbers.csv", "i",
        {"0": 0, "7": 7, "-5": -5, " 8 ": 8, "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63),
         "1.0": 1, "12345678.000": 12345678, "1.0E3": 1000, "1e3": 1000, "9007199254740993": 2**53 + 1},
        ["007", "00", "+5", "-0", "--5", "1.5", "1.5e0", "1e-1", "9223372036854775808", "1,000", "1.000,0", "1 000",
         "1_000", "0x1F", "１", "−1", "5.", "5L", "1st", "#5", "five"],
    ),
    values("int.csv", "k", {"2147483647": 2**31 - 1, "-2147483648": -(2**31)}, ["2147483648", "-2147483649", "0.5"]),
    values(
        "doubles.csv", "d",
        {"1.5": 1.5, "-0.25": -0.25, "0.1": 0.1, "1e10": 1e10, "1E-5": 1e-5, "1.5e+3": 1500.0, ".5": 0.5, "5.": 5.0,
         "3": 3.0, "-0.0": -0.0, "0.30000000000000004": 0.30000000000000004, "123456789012345.6": 123456789012345.6,
         "1.7976931348623157E308": 1.7976931348623157e308, "NaN": float("nan"), "Infinity": float("inf"),
         "-Infinity": float("-inf"), "5e-324": 5e-324,
         "1.7976931348623157e+308": 1.7976931348623157e308, "1.2345678901234568e-10": 1.2345678901234568e-10},
        ["1e400", "1e-400", "0.12345678901234567890",
         "1.23456789012345678901e-10", "0.00000000001234567890123456789", "9007199254740993",
         "1,5", "1.234,56", "1 000.5", "1'000", "€5",
         "5%", "5d", "5f", "+1.5", "007.5", "1e", "e5", "1.2.3", "½", "1/2", "(5.00)", "$1.00"],
    ),
    values("floats.csv", "f", {"1.5": 1.5, "-2": -2.0, "16777216": 16777216.0}, ["16777217", "0.123456789", "1e39"]),
    values(
        "decimals.csv", "m",
        {"1": Decimal("1.00"), "1.5": Decimal("1.50"), "-0.05": Decimal("-0.05"), "1.500": Decimal("1.50"),
         ".5": Decimal("0.50"), "1.": Decimal("1.00"), "9999999999.99": Decimal("9999999999.99"),
         "1.0E3": Decimal("1000.00"), "1e3": Decimal("1000.00"), "5e-2": Decimal("0.05"), " 2.00 ": Decimal("2.00")},
        ["1.005", "10000000000.00", "1e10", "5e-3", "1,00", "1,000.00", "1.000,00", "(5.00)", "01.00", "+1", "5-",
         "1..0"],
    ),
)  # fmt: skip

BOOLEANS = values(
    "booleans.csv", "b", {"true": True, "false": False, "TRUE": True, "False": False, " true ": True},
    ["yes", "no", "Y", "t", "f", "on", "off", "0", "1", "ja", "wahr", "truee"],
)  # fmt: skip

DAYS = values(
    "days.csv", "y", kept("2024-02-29", "1970-01-01", "1969-12-31", "1582-10-10", "0001-01-01", "9999-12-31"),
    ["2023-02-29", "2024-13-01", "2024-00-10", "2024-2-9", "24-02-29", "20240229", "2024/02/29", "29.02.2024",
     "29/02/2024", "02/29/2024", "2/29/24", "29-Feb-2024", "Feb 29, 2024", "2024-060", "2024-W09-4", "2024-02",
     "2024-02-29T00:00:00", "2024-02-29 00:00:00", "10000-01-01", "today", "0", "45351"],
)  # fmt: skip

MOMENTS = (
    values(
        "moments.csv", "t",
        {"2024-01-02 03:04:05": "2024-01-02 03:04:05", "2024-01-02T03:04:05": "2024-01-02 03:04:05",
         "2024-01-02T03:04": "2024-01-02 03:04:00", "2024-01-02": "2024-01-02 00:00:00",
         "2024-01-02 03:04:05.1": "2024-01-02 03:04:05.1", "2024-01-02 03:04:05.123456": "2024-01-02 03:04:05.123456",
         "2024-01-02 03:04:05.123456000": "2024-01-02 03:04:05.123456", "1900-01-01 00:00:00": "1900-01-01 00:00:00",
         "1969-12-31 23:59:59.999999": "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00": "0001-01-01 00:00:00",
         "9999-12-31 23:59:59": "9999-12-31 23:59:59"},
        ["2024-01-02 03:04:05.123456789", "2024-01-02 24:00:00", "2024-01-02 03:04:60", "2024-01-02 25:00",
         "2024-02-30 00:00:00", "2024-01-02 3:04", "2024-01-02T03:04:05,123", "02.01.2024 03:04", "1/22/20 17:00",
         "1/22/2020 5:04 PM", "20240102T030405", "Tue, 02 Jan 2024 03:04:05 GMT", "1704164645", "1704164645000",
         "03:04:05", "now", "2024-01-02 03:04:05 noon"],
    ),
    values(
        "moments-with-zones.csv", "t",
        {"2024-01-02T03:04:05Z": "2024-01-02 03:04:05", "2024-01-02T03:04:05+02:00": "2024-01-02 01:04:05",
         "2024-01-02T03:04:05.5-05:30": "2024-01-02 08:34:05.5", "2024-01-02 03:04:05 +0200": "2024-01-02 01:04:05",
         "2024-01-02T03:04:05+02": "2024-01-02 01:04:05",
         "2024-01-02T23:00:00-02:00": "2024-01-03 01:00:00"},
        ["2024-01-02T03:04:05z", "2024-01-02 03:04:05 UTC", "2024-01-02 03:04:05 CET", "2024-01-02T03:04:05+25:00",
         "2024-01-02T03:04:05 Europe/Berlin", "2024-01-02T03:04:05+02:00[Europe/Berlin]", "2024-01-02Z",
         "2024-01-02T03:04Z"],
    ),
    values(
        "clock-times.csv", "l",
        {"2024-03-31 02:30:00": "2024-03-31 02:30:00", "2024-01-02T03:04:05.000001": "2024-01-02 03:04:05.000001"},
        ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05+02:00", "noon"],
    ),
)  # fmt: skip

WORDS = (
    values("words.csv", "s", kept("NULL", "null", "N/A", "NaN", "None", "-", "007", "1e5", " x ", "true", "\\N", '"',
                                  "\\", "'", "<b>", "{}", "[1]", "=1+1", "\t", "　", "\u200b", "a\nb", "😀")),
    values("words-for-nothing.csv", "i", {}, ["NULL", "null", "N/A", "NA", "nil", "None", "-", "?", "\\N", "#REF!"]),
)  # fmt: skip

TYPED = Feed("csv values", (*NUMBERS, BOOLEANS, DAYS, *MOMENTS, *WORDS), {"type": "csv", **columns(TYPES)})

IN_BERLIN = Feed(
    "csv in a zone",
    (
        values(
            "summer-time.csv", "t",
            {"2024-03-31 01:59:59": "2024-03-31 01:59:59", "2024-03-31 03:00:00": "2024-03-31 03:00:00",
             "2024-10-27 02:30:00": "2024-10-27 02:30:00", "2024-07-01T10:00:00Z": "2024-07-01 12:00:00",
             "2024-12-01T10:00:00Z": "2024-12-01 11:00:00", "2024-03-31": "2024-03-31 00:00:00",
             "2024-03-31T02:30:00+01:00": "2024-03-31 03:30:00"},
            ["2024-03-31 02:00:00", "2024-03-31 02:30:00", "2024-03-31T02:59:59.999"],
        ),
        values("clock-in-the-gap.csv", "l", kept("2024-03-31 02:30:00")),
    ),
    {"type": "csv", "timezone": "Europe/Berlin", **columns(TYPES)},
)  # fmt: skip


def _guesses() -> tuple[str, list[Row]]:
    """A hundred rows of what types are guessed from."""
    names = ("id", "code", "price", "share", "word99", "word90", "flag", "day", "at", "either", "big", "exact", "none")
    lines = [",".join(names)]
    rows: list[Row] = []
    for at in range(100):
        number = f"{at}"
        odd99, odd90 = "n/a" if at == 50 else number, "n/a" if at % 10 == 5 else number
        day = f"2024-01-{at % 28 + 1:02}"
        either = day if at % 2 else f"{day} 10:00:00"
        big, exact = f"1234567890123456789{at:02}", f"12345678901234567.{at:03}"
        flag = "true" if at % 3 else "FALSE"
        moment = f"{day}T01:02:03Z"
        given = [number, f"{at:03}", f"{at}.50", f"{at}e-2", odd99, odd90, flag, day, moment, either, big, exact, ""]
        lines.append(",".join(given))
        rows.append(
            {
                "id": at, "code": f"{at:03}", "price": at + 0.5, "share": float(f"{at}e-2"), "word90": odd90,
                "flag": bool(at % 3), "day": day, "at": f"{day} 01:02:03", "big": big, "exact": Decimal(exact),
                "either": f"{day} {either[11:] or '00:00:00'}",
                **({"word99": at} if at != 50 else {RESCUED: {"word99": "n/a"}}),
            }
        )  # fmt: skip
    return "\n".join(lines) + "\n", rows


GUESSED_TEXT, GUESSED_ROWS = _guesses()

GUESSED = Feed(
    "csv guessed",
    (
        text("a-hundred-rows.csv", GUESSED_TEXT, *GUESSED_ROWS),
        text("later-and-wider.csv", "id,late,price\n7,x,2.25\n", {"id": 7, "late": "x", "price": 2.25}),
        text("one-misfit.csv", "price,id\nfree,8\n", {"id": 8, RESCUED: {"price": "free"}}),
        skipped("no-rows-but-a-column.csv", "id,unused\n", "no_rows"),
    ),
    {"type": "csv"},
    types={
        "id": "bigint", "code": "string", "price": "double", "share": "double", "word99": "bigint", "word90": "string",
        "flag": "boolean", "day": "date", "at": "timestamp", "either": "timestamp", "big": "string",
        "exact": "decimal(38,3)", "none": "string", "late": "string",
    },
)  # fmt: skip
