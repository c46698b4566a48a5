"""No value that is not empty becomes null without standing in ``_rescued_data``: tried with values that nobody planned
for, and with a reader that is made to lose one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoloader.lib.errors import ValueLost
from ingestions.engine.loader import rows as loader_rows
from tests.engine.loader.feed import Feed, Loaded, csv_shape, json_shape

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

TYPES = "i bigint, d double, m decimal(6,2), t timestamp, day date, b boolean, s string, j struct<a:bigint>"
COLUMNS = ("i", "d", "m", "t", "day", "b", "s", "j")
ODD = st.sampled_from(
    ["", " ", "0", "007", "1", "-1", "1.5", "1e400", "NaN", "1,5", "9" * 30, "0.1", "true", "TRUE", "yes",
     "2024-02-29", "2024-02-30", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00.123456789", "24:00", "null", "NULL",
     '{"a":1}', '{"a":1.5}', '{"b":1}', "{", "\\", '"', "'", "ä", "😀", "\t", "a\nb", "−1", "１", "1_000", "0x10", "+5",
     "5.", ".5", "1E2"]
)  # fmt: skip
ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=12)
VALUE = st.one_of(ODD, ANY)


def numbered(values: list[list[str]]) -> list[list[str]]:
    return [[str(at), *row] for at, row in enumerate(values)]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(values=st.lists(st.lists(VALUE, min_size=8, max_size=8), min_size=1, max_size=25))
def test_each_value_of_a_csv_is_in_its_column_or_rescued(feed: NewFeed, values: list[list[str]]) -> None:
    manual = feed(format={"schema": {"inference": "manual", "schema_json": f"n bigint, {TYPES}"}})
    manual.evolve([])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["n", *COLUMNS], *numbered(values)])
    entry = manual.write("a.csv", text.getvalue(), csv_shape("n", *COLUMNS, multiline="true"))
    loaded = {row["n"]: row for row in manual.load(entry, evolve=False).rows}
    assert len(loaded) == len(values)
    for at, row in enumerate(values):
        rescued = json.loads(loaded[at]["_rescued_data"] or "{}")
        for name, given_text in zip(COLUMNS, row, strict=True):
            if given_text.strip():
                assert loaded[at][name] is not None or rescued.get(name) == given_text, (name, given_text, rescued)
        assert loaded[at]["s"] == row[6] or not row[6] or rescued.get("s") == row[6]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), ANY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("axy"), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(values=st.lists(st.dictionaries(st.sampled_from([*COLUMNS, "new"]), JSON), min_size=1, max_size=25))
def test_each_value_of_a_json_is_in_its_column_or_rescued(feed: NewFeed, values: list[dict[str, Any]]) -> None:
    manual = feed("json", format={"schema": {"inference": "manual", "schema_json": f"n bigint, {TYPES}"}})
    manual.evolve([])
    lines = "".join(json.dumps({"n": at, **row}, ensure_ascii=False) + "\n" for at, row in enumerate(values))
    entry = manual.write("a.json", lines, json_shape())
    loaded = {row["n"]: row for row in manual.load(entry, evolve=False).rows}
    assert len(loaded) == len(values)
    for at, row in enumerate(values):
        rescued = json.loads(loaded[at]["_rescued_data"] or "{}")
        for name, value in row.items():
            if value not in (None, "", [], {}) and not (isinstance(value, str) and not value.strip()):
                there = loaded[at].get(name) is not None
                assert there or any(key == name or key.startswith(name) for key in rescued), (name, value, rescued)


def test_a_reader_that_loses_a_value_stops_the_write(feed: NewFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself: with what does not fit no longer rescued, the batch must fail, and nothing be published."""
    import pyspark.sql.connect.functions as F

    orders = feed(format={"schema": {"hints": {"n": "bigint"}}})
    orders.load(orders.csv("a.csv", "n,s\n1,x\n"))
    nothing = F.lit(None).cast("string").alias("rescued")
    monkeypatch.setattr(loader_rows._Rows, "rescued", lambda self, df: df.select("*", nothing))
    with pytest.raises(ValueLost) as raised:
        orders.load(orders.csv("b.csv", "n,s\nnot a number,y\n"))
    assert "b.csv" in raised.value.message
    assert [row["n"] for row in orders.rows()] == [1]


def test_columns_that_are_converted_together_say_what_they_say_apart(
    feed: NewFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("bigint", "double", "decimal(6,2)", "timestamp", "date", "boolean", "string", "struct<a:bigint>")
    names = [f"c{at}" for at in range(2 * len(kinds))]
    schema = ", ".join(f"{name} {kinds[at % len(kinds)]}" for at, name in enumerate(names))
    values = ["", "7", "007", "1.5", "1.125", "2024-01-01", "2024-01-01T01:02:03Z", "true", "x", '{"a": 1}', '{"b": 1}']
    out = io.StringIO()
    csv.writer(out).writerows([names, *(([value] * len(names)) for value in values)])
    rows = feed("csv", format={"schema": {"inference": "manual", "schema_json": schema}})
    rows.evolve([])
    entry = rows.write("a.csv", out.getvalue(), csv_shape(*names))
    apart = rows.load(entry, evolve=False)
    monkeypatch.setattr(loader_rows, "MANY", 1)
    together = rows.load(entry, evolve=False)
    ours = {"_batch_id", "_loaded_at"}

    def told(loaded: Loaded) -> list[str]:
        return sorted(str({name: value for name, value in row.items() if name not in ours}) for row in loaded.rows)

    assert len(together.rows) == len(values)
    assert told(together) == told(apart)
    assert len(together.rescued()) > len(values) // 2
