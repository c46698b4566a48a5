"""Parquet: each physical and logical type that writers make, columns in any order, and types that differ from the
table's; and files that are cut, damaged or hold what Spark does not read."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpus.case import RESCUED, Feed, File, Row, columns, data, refused, skipped

DAY = dt.date(2024, 2, 29)
MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 123456)  # noqa: DTZ001  # a clock's time
INSTANT = MOMENT.replace(tzinfo=dt.UTC)
SHOWN = "2024-02-29 12:30:15.123456"
EARLY = dt.datetime(1800, 1, 1, tzinfo=dt.UTC)


def packed(table: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer, **options)
    return buffer.getvalue()


def together(name: str, arrays: dict[str, tuple[Any, list[Any]]], **options: Any) -> File:
    """A file of several columns: array, and its values as the table has them; short columns end with nulls."""
    length = max(len(array) for array, _ in arrays.values())
    rows: list[dict[str, Any]] = [{} for _ in range(length)]
    whole = {}
    for title, (array, stored) in arrays.items():
        whole[title] = pa.concat_arrays([array, pa.nulls(length - len(array), array.type)])
        for row, value in zip(rows, stored, strict=False):
            row.update({} if value is None else {title: value})
    return data(f"{name}.parquet", packed(whole, **options), *rows)


NUMBERS: dict[str, list[Any]] = {
    "int8": [-128, 127, None],
    "int16": [-(2**15), 2**15 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "int64": [-(2**63), 2**63 - 1, None],
    "uint8": [0, 255],
    "uint16": [0, 2**16 - 1],
    "uint32": [0, 2**32 - 1],
    "uint64": [0, 2**64 - 1],
}
INTEGERS = together(
    "integers",
    {
        name: (pa.array(values, getattr(pa, name)()), list(map(Decimal, values)) if name == "uint64" else values)
        for name, values in NUMBERS.items()
    },
)


def same(values: list[Any], type_: Any = None) -> tuple[Any, list[Any]]:
    return pa.array(values, type_), values


FRACTIONS = (
    together("floats", {
        "float32": same([1.5, float("nan"), float("-inf"), None], pa.float32()),
        "float64": same([0.1, 5e-324, -0.0, float("inf")], pa.float64()),
    }),
    together("decimals", {
        "decimal9": same([Decimal("1234567.89")], pa.decimal128(9, 2)),
        "decimal18": same([Decimal("-1234567890123456.78")], pa.decimal128(18, 2)),
        "decimal38": same([Decimal("9" * 38), None], pa.decimal128(38, 0)),
        "decimal_small": same([Decimal("0.000001")], pa.decimal128(7, 6)),
    }),
    together("decimals-in-integers", {
        "decimal9": same([Decimal("-1234567.89"), Decimal("0.01")], pa.decimal128(9, 2)),
        "decimal18": same([Decimal("1234567890123456.78")], pa.decimal128(18, 2)),
    }, store_decimal_as_integer=True),
)  # fmt: skip
TEXTS = together("texts", {
    "string": same(["ä€😀", "", None]),
    "large_string": same(["x"], pa.large_string()),
    "dictionary": (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    "binary": (pa.array([b"\x00\xff", b"", None]), [bytearray(b"\x00\xff"), bytearray(b""), None]),
    "fixed_binary": (pa.array([b"abcd"], pa.binary(4)), [bytearray(b"abcd")]),
    "boolean": same([True, False, None]),
})  # fmt: skip
TIMES = (
    together("days", {
        "date32": (pa.array([DAY, dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
                   ["2024-02-29", "0001-01-01", "9999-12-31"]),
        "date64": (pa.array([DAY], pa.date64()), ["2024-02-29"]),
    }),
    together("instants", {
        "instant_us": (pa.array([INSTANT, EARLY], pa.timestamp("us", tz="UTC")), [SHOWN, "1800-01-01 00:00:00"]),
        "instant_ms": (pa.array([INSTANT], pa.timestamp("ms", tz="UTC")), ["2024-02-29 12:30:15.123"]),
        "instant_in_berlin": (pa.array([INSTANT], pa.timestamp("us", tz="Europe/Berlin")), [SHOWN]),
    }),
    together("clocks", {
        "clock_us": (pa.array([MOMENT, None], pa.timestamp("us")), [SHOWN, None]),
        "clock_ms": (pa.array([MOMENT], pa.timestamp("ms")), ["2024-02-29 12:30:15.123"]),
        "clock_s": (pa.array([MOMENT], pa.timestamp("s")), ["2024-02-29 12:30:15"]),
    }),
    together("int96", {"int96": (pa.array([MOMENT], pa.timestamp("ns")), [SHOWN])},
             use_deprecated_int96_timestamps=True),
    together("nanoseconds-made-micro", {"coerced": (pa.array([MOMENT], pa.timestamp("ns")), [SHOWN])},
             coerce_timestamps="us"),
)  # fmt: skip
_STRUCT = pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))])
NESTED = (
    together("lists", {
        "list": same([[1, None, 2], [], None], pa.list_(pa.int64())),
        "lists": same([[["a"], []]], pa.list_(pa.list_(pa.string()))),
        "fixed_list": same([[1.5, 2.5]], pa.list_(pa.float64(), 2)),
        "four_levels": same([[[[[1]]]]], pa.list_(pa.list_(pa.list_(pa.list_(pa.int64()))))),
    }),
    together("structs-and-maps", {
        "struct": same([{"x": 1, "y": {"z": "a"}}, {"x": None, "y": None}, None], _STRUCT),
        "map": (pa.array([[("k", 1), ("l", None)], []], pa.map_(pa.string(), pa.int64())), [{"k": 1, "l": None}, {}]),
        "map_by_number": (pa.array([[(1, "x")]], pa.map_(pa.int32(), pa.string())), [{1: "x"}]),
        "structs": (pa.array([[{"m": [("k", [1])]}]],
                             pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.list_(pa.int32())))]))),
                    [[{"m": {"k": [1]}}]]),
    }),
)  # fmt: skip
STORED = (
    data("pages.parquet", packed({"int64": list(range(5000))}, row_group_size=500, data_page_size=256,
                                 data_page_version="2.0", compression="zstd"),
         *({"int64": at} for at in range(5000))),
    data("gzipped.parquet", packed({"string": ["x"]}, compression="gzip", use_dictionary=False), {"string": "x"}),
    data("snappy.snappy.parquet", packed({"string": ["y"]}, compression="snappy"), {"string": "y"}),
    data("no-rows.parquet", packed({"int64": pa.array([], pa.int64())})),
    data("other-order-and-case.parquet", packed({"STRING": ["y"], "Int64": [7]}), {"string": "y", "int64": 7}),
    data("odd-names.parquet", packed({"a.b": [1], "select": [2], "ä b": ["x"], "`": [3], "_metadata": ["m"]}),
         {"a.b": 1, "select": 2, "ä b": "x", "`": 3, "_metadata": "m"}),
    data("our-names.parquet", packed({"int64": [1], "_batch_id": ["m"], "_file": ["f"]}),
         {"int64": 1, RESCUED: {"_batch_id": "m", "_file": "f"}}),
)  # fmt: skip
_WHOLE = packed({"int64": list(range(20_000)), "string": [f"text {at}" for at in range(20_000)]}, compression="none")
BAD = (
    skipped("nothing.parquet", "", "empty"),
    refused("cut.parquet", _WHOLE[: len(_WHOLE) // 2], "not_parquet"),
    refused("only-the-end.parquet", b"PAR1", "not_parquet"),
    refused("text.parquet", "id,a\n1,x\n", "not_parquet"),
    refused("bad-footer.parquet", _WHOLE[:-300] + bytes(200) + _WHOLE[-100:], "not_parquet"),
    refused("middle-missing.parquet", _WHOLE[:100] + _WHOLE[-len(_WHOLE) // 2 :], "file_unreadable"),
    refused("time.parquet", packed({"t": pa.array([dt.time(1, 2)], pa.time64("us"))}), "parquet_type"),
    refused("nanoseconds.parquet", packed({"t": pa.array([MOMENT], pa.timestamp("ns"))}, version="2.6"),
            "parquet_type"),
    refused("decimal50.parquet", packed({"d": pa.array([Decimal("9" * 50)], pa.decimal256(50, 0))}), "parquet_type"),
    refused("half.parquet", packed({"h": pa.array([np.float16(1.5)], pa.float16())}), "parquet_type"),
    refused("case-twins.parquet", packed({"a": [1], "A": [2]}), "ambiguous_columns"),
)  # fmt: skip

TYPES = Feed(
    "parquet",
    (INTEGERS, *FRACTIONS, TEXTS, *TIMES, *NESTED, *STORED, *BAD),
    {"type": "parquet"},
    types={
        "int8": "int", "int16": "int", "int32": "int", "int64": "bigint", "uint8": "int", "uint16": "int",
        "uint32": "bigint", "uint64": "decimal(20,0)", "float32": "float", "float64": "double",
        "decimal9": "decimal(9,2)", "decimal18": "decimal(18,2)", "decimal38": "decimal(38,0)",
        "decimal_small": "decimal(7,6)", "string": "string", "large_string": "string", "dictionary": "string",
        "binary": "binary", "fixed_binary": "binary", "boolean": "boolean", "date32": "date", "date64": "date",
        "instant_us": "timestamp", "instant_ms": "timestamp", "instant_in_berlin": "timestamp",
        "clock_us": "timestamp_ntz", "clock_ms": "timestamp_ntz", "clock_s": "timestamp_ntz", "int96": "timestamp",
        "coerced": "timestamp_ntz", "list": "array<bigint>", "lists": "array<array<string>>",
        "fixed_list": "array<double>", "struct": "struct<x:bigint,y:struct<z:string>>", "map": "map<string,bigint>",
        "map_by_number": "map<int,string>", "structs": "array<struct<m:map<string,array<int>>>>",
        "four_levels": "array<array<array<array<bigint>>>>", "a.b": "bigint", "select": "bigint", "ä b": "string",
        "`": "bigint", "_metadata": "string",
    },
)  # fmt: skip


def into(name: str, array: Any, *rows: Row) -> File:
    """A file whose column ``v`` has another type than the table's."""
    return data(f"{name}.parquet", packed({"v": array}), *rows)


def misfit(value: str) -> Row:
    return {RESCUED: {"v": value}}


INTO_BIGINT = Feed(
    "parquet into bigint",
    (
        into("same", pa.array([1, None], pa.int64()), {"v": 1}, {}),
        into("int32", pa.array([-7], pa.int32()), {"v": -7}),
        into("uint64", pa.array([5, 2**64 - 1], pa.uint64()), {"v": 5}, misfit(str(2**64 - 1))),
        into("double", pa.array([4.0, 3.5, 1e300, float("nan")]), {"v": 4}, misfit("3.5"), misfit("1.0E300"),
             misfit("NaN")),
        into("decimal", pa.array([Decimal("2.00"), Decimal("2.50")]), {"v": 2}, misfit("2.50")),
        into("string", pa.array(["12", "twelve", "007", ""]), {"v": 12}, misfit("twelve"), misfit("007"), {}),
        into("boolean", pa.array([True]), misfit("true")),
        into("day", pa.array([DAY]), misfit("2024-02-29")),
        into("list", pa.array([[1, 2]]), misfit("[1,2]")),
        into("struct", pa.array([{"x": 1}]), misfit('{"x":1}')),
        into("binary", pa.array([b"\x00\xff"]), misfit("AP8=")),
    ),
    {"type": "parquet", **columns("v bigint")},
)  # fmt: skip

INTO_TEXT = Feed(
    "parquet into string",
    (
        into("int64", pa.array([12]), {"v": "12"}),
        into("double", pa.array([0.1, 1e300]), {"v": "0.1"}, {"v": "1.0E300"}),
        into("decimal", pa.array([Decimal("2.50")]), {"v": "2.50"}),
        into("boolean", pa.array([True]), {"v": "true"}),
        into("day", pa.array([DAY]), {"v": "2024-02-29"}),
        into("instant", pa.array([INSTANT]), {"v": SHOWN}),
        into("list", pa.array([[1, None]]), {"v": "[1,null]"}),
        into("struct", pa.array([{"x": 1, "y": "a"}]), {"v": '{"x":1,"y":"a"}'}),
        into("binary", pa.array([b"\x00\xff"]), {"v": "AP8="}),
    ),
    {"type": "parquet", **columns("v string")},
)

FEEDS = (TYPES, INTO_BIGINT, INTO_TEXT)
