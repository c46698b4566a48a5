"""The model itself notices what it is there for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.corpus import model
from tests.corpus.case import RESCUED

TYPES = {
    "n": "bigint", "d": "double", "s": "string", "b": "boolean", "y": "date", "t": "timestamp", "j": "struct<x:bigint>",
    "l": "array<bigint>",
}  # fmt: skip

RIGHT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"n": 1, "s": "x"}, {"n": "1", "s": "x", "d": ""}),
    ({RESCUED: {"n": "007"}}, {"N": "007"}),
    ({"d": 1.5, "b": True}, {"d": "1.50", "b": "TRUE"}),
    ({"d": float("nan")}, {"d": "NaN"}),
    ({"y": "2024-01-02", "t": "2024-01-02 00:00:00"}, {"y": "2024-01-02", "t": "2024-01-02"}),
    ({"t": "2024-01-02 03:04:05.12"}, {"t": "2024-01-02T03:04:05.120000Z"}),
    ({"j": {"x": 1}, "l": [1, None]}, {"j": {"x": 1}, "l": [1, None]}),
    ({"j": {"x": None}, RESCUED: {"j": '{"x": 1.50}'}}, {"j": {"x": 1.5}}),
    ({"s": '{"x":[1]}'}, {"s": {"x": [1]}}),
    ({"s": "1.0E10"}, {"s": 1e10}),
    ({"n": Decimal("1.00")}, {"n": 1}),
    ({"d": 2.195378010476045e16}, {"d": 21953780104760448}),
]

WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"n": "1"}),  # lost
    ({"n": 2}, {"n": "1"}),  # another value
    ({"n": 3}, {"n": 3.5}),  # rounded
    ({"d": 3.0}, {"d": "3.0000000000000001"}),
    ({"d": 0.1}, {"d": "0.10000000000000001"}),
    ({"s": "x "}, {"s": "x"}),
    ({"s": "1.5"}, {"s": "1.50"}),
    ({"n": 1, "s": "x"}, {"n": "1"}),  # invented
    ({"n": 1, RESCUED: {"n": "1"}}, {"n": "1"}),  # twice
    ({RESCUED: {"n": "1"}}, {"n": "1"}),  # rescued though it fits
    ({RESCUED: {"y": "2024-01-02"}}, {"y": "2024-01-02"}),
    ({RESCUED: {"n": "7"}}, {"n": "007"}),  # rescued as another
    ({"n": 1, RESCUED: {"m": "1"}}, {"n": "1"}),  # rescued from nowhere
    ({"j": {"x": None}}, {"j": {"x": 1}}),  # lost within
    ({"l": [1]}, {"l": [1, 2]}),
    ({}, {"z": "1"}),  # no column
]


@pytest.mark.parametrize(("row", "record"), RIGHT)
def test_a_row_that_says_what_its_record_says(row: dict[str, Any], record: dict[str, Any]) -> None:
    model.check_row(TYPES, row, record)


@pytest.mark.parametrize(("row", "record"), WRONG)
def test_a_row_that_does_not(row: dict[str, Any], record: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        model.check_row(TYPES, row, record)


def test_rows_are_those_of_the_records() -> None:
    one: dict[str, Any] = {"n": 1, "s": "x"}
    two: dict[str, Any] = {"n": 2, "s": "y"}
    model.check_rows(TYPES, [two, one], [one, two], "n")
    for rows in ([one], [one, one], [one, two, {"n": 3}]):
        with pytest.raises(AssertionError):
            model.check_rows(TYPES, rows, [one, two], "n")
