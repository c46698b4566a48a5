"""What a quick look calls certain is what a careful look would have made of it; and where it is not certain of a row,
the row's file is read again."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoloader.lib.errors import FatalError
from ingestions.engine.ledger import Entry, State
from ingestions.engine.loader.base import RESCUED_DATA, Plan
from ingestions.engine.loader.quick_json import Style, style_of
from ingestions.engine.schema import types
from tests.corpus.engine import Table
from tests.engine.loader.feed import Feed, csv_shape

NewFeed = Callable[..., Feed]

TYPES = "n bigint, i int, d double, m decimal(6,2), t timestamp, day date, b boolean, s string, z string"
#: records of the columns above but ``n``, as their writers set them.
PLAIN = [
    '"i": 5, "d": 1.5, "t": "2026-01-02T03:04:05Z", "day": "2026-01-02", "b": true, "s": "a", "z": null',
    '"i": 5, "d": 20.0, "s": "a"',
    '"i":5,"d":20,"s":"a"',
    '"d": 1.50, "s": "b"',
    '"d": 100000.5, "i": null',
    '"s": "he said \\"yes\\": no", "d": 0.1',
    '"s": "{\\"a\\": null, \\"b\\": 1}"',
    '"s": "\\u00e4 and ä \\ud83d\\ude00", "i": -7',
    '"s": "", "t": ""',
    '"t": "2026-01-02", "day": "2026-01-02"',
    '"t": "2026-01-02 03:04:05.123456+05:30"',
    '"z": "x", "i": 1, "s": "another order"',
    '"s": "12345678901234567", "i": 3, "d": 2.25',
    '"s": "ends with a backslash \\\\"',
    '"s": "a : b", "d": -0.5',
    '"i": 5, "unknown": null',
    '"x": null, "s": "\\":null"',
    '"d": 5',
    '"d": 1e3',
]
#: … and those that hold something more, or something else, than their columns can tell; or look as if they did.
NOT_PLAIN = [
    '"s": " : ", "d": -0.5',
    '"i": 5, "unknown": 1',
    '"i": 5, "I": 6',
    '"i": 5, "i": 6',
    '"i": "5"',
    '"i": 5.0',
    '"i": 3000000000',
    '"d": "1.5"',
    '"d": 0.1000000000000000055',
    '"d": 12345678901234567890',
    '"d": 12345678901234567891e-9',
    '"d": 1234567890123456e-3',
    '"d": 1e999',
    '"d": 1e-999',
    '"d": 9007199254740993',
    '"b": "true"',
    '"b": 1',
    '"s": 1.50',
    '"s": {"a": 1.50}',
    '"t": "2026-01-02T03:04:05.123456789Z"',
    '"t": "yesterday"',
    '"t": 5',
    '"day": "2026-02-30"',
    '"s": "\ufffd"',
    "'s': 'a'",
    "'i': 1, \"u\": 2",
    '"s": "a", "u" : "b"',
    '"s": "a", "u"\t: "b"',
    '"s" : "a", "u": "b"',
    '"s": "a"} "u"',
    '"s": "a"}}',
    '"s": "a"}, {"u": 1',
    '"s": "a"',
    '"a\\\\": 1, "i": 2',
    '"i": 5, "u": {"x": {"y": 1}}',
]


def lines(bodies: list[str]) -> list[str]:
    """Records with a number each. One of :data:`NOT_PLAIN` is left open."""
    return [f'{{"n": {at}, {body}' + ("" if body == '"s": "a"' else "}") for at, body in enumerate(bodies)]


def looked_at(feed: Feed, entry: Entry) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """``n`` → the row by a quick look and by a careful one. Rows whose number is lost are left out; they are not
    certain."""
    quickly, _ = feed.loader.frame([entry], "b", careful=frozenset())
    feed.loader.texts.trusted.add(entry.file.address)
    carefully, _ = feed.loader.frame([entry], "b")
    ours = ("_loaded_at",)

    def rows(df: Any) -> dict[int, dict[str, Any]]:
        found = [row.asDict() for row in df.drop(*ours).collect()]
        assert all(row[RESCUED_DATA] for row in found if row["n"] is None)
        return {row["n"]: row for row in found if row["n"] is not None}

    one, other = rows(quickly), rows(carefully)
    return {n: (one[n], other[n]) for n in one.keys() & other.keys()}


def by_hand(feed: NewFeed, format_: str = "csv") -> Feed:
    made = feed(format_, format={"schema": {"inference": "manual", "schema_json": TYPES}})
    made.evolve([])
    return made


def agree(pairs: dict[int, tuple[dict[str, Any], dict[str, Any]]]) -> set[int]:
    """The numbers of the rows that the quick look is certain of, which are as the careful look has them."""
    certain = {n for n, (one, _) in pairs.items() if one[RESCUED_DATA] is None}
    for n in certain:
        one, other = pairs[n]
        assert repr(one) == repr(other), n  # by their texts: NaN is not equal to itself
    return certain


@pytest.mark.spark
@pytest.mark.parametrize("sample", ["", PLAIN[0], PLAIN[1], PLAIN[2]])
def test_json_that_is_plain_is_certain_and_nothing_else_is(feed: NewFeed, sample: str) -> None:
    quickly = by_hand(feed, "json")
    first = [sample] if sample else []
    entry = quickly.sniffed("a.json", "".join(f"{line}\n" for line in lines([*first, *PLAIN, *NOT_PLAIN])))
    assert entry.shape is not None
    assert entry.shape.sample == lines([*first, *PLAIN])[0]
    pairs = looked_at(quickly, entry)
    expected = set(range(len(first) + len(PLAIN)))
    assert agree(pairs) == expected, [lines([*first, *PLAIN, *NOT_PLAIN])[n] for n in agree(pairs) ^ expected]


@pytest.mark.spark
@pytest.mark.parametrize("sample", ["", PLAIN[0]])
@pytest.mark.parametrize("body", ["not json", "'n': 1", "n: 1", "1", '"a"', "[1, 2]", ",", '"n": 1,'])
def test_a_line_that_is_no_record_is_never_certain(feed: NewFeed, sample: str, body: str) -> None:
    """It has no name that could be counted, and no value: as many of the one as of the other."""
    quickly = by_hand(feed, "json")
    first = [f'{{"n": 1, {sample}}}'] if sample else ["{}"]
    entry = quickly.sniffed("a.json", "".join(f"{line}\n" for line in [*first, f"{{{body}}}"]))
    looked, _ = quickly.loader.frame([entry], "b", careful=frozenset())
    assert [row[RESCUED_DATA] is None for row in looked.collect()] == [True, False]


@pytest.mark.spark
@pytest.mark.parametrize(
    "bad", [b'"s": "\xe9"', b'"s": "\xe9\\u00e9"', b'"i": 1, "z": "a\xff"', b'"t\xe9": "1"', b'"t": "\xe9"']
)
def test_a_line_with_bytes_that_are_no_text_is_never_certain(feed: NewFeed, bad: bytes) -> None:
    quickly = by_hand(feed, "json")
    shape = quickly.sniffed("first.json", '{"n": 1, "s": "a"}\n').shape  # as of a file whose first bytes are text
    (quickly.folder / "a.json").write_bytes(b'{"n": 1, ' + bad + b'}\n{"n": 2, "s": "\xc3\xa9"}\n')
    entry = quickly.entry("a.json", shape)
    looked, _ = quickly.loader.frame([entry], "b", careful=frozenset())
    assert [row[RESCUED_DATA] is None for row in looked.collect()] == [False, True]


@pytest.mark.spark
def test_records_without_a_field_are_read_with_care(feed: NewFeed) -> None:
    """There is nothing to parse them for."""
    empty = feed("json")
    empty.evolve([])
    entry = empty.sniffed("a.json", "{}\n{}\n")
    assert empty.loader.frame([entry], "b", careful=frozenset())[0].count() == 2


KEYS = st.sampled_from(["i", "d", "m", "t", "day", "b", "s", "z", "S", "u", "a:b", 'q"', "e\\"])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=8),
    st.sampled_from(['"', '":', '\\":', '":null', '": null', "5", "1.50", "1e3", "null", "2026-01-02T03:04:05Z", "é"]),
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(-100, 100),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-1000, 1000, places=2).map(float),
)
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.dictionaries(TEXTS, NUMBERS, max_size=2))
RECORDS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
SEPARATORS = st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : "), (",", ": ")])


@pytest.mark.spark
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.tuples(RECORDS, SEPARATORS, st.booleans(), st.sampled_from(["", "", "", " ", "}", "x", ',"u":1}'])),
             min_size=30, max_size=60)
)  # fmt: skip
def test_a_certain_row_of_json_is_as_a_careful_look_has_it(feed: NewFeed, made: list[Any]) -> None:
    quickly = by_hand(feed, "json")
    text = []
    for at, (record, (comma, colon), ascii_only, tail) in enumerate(made):
        fields = [("n", at), *record]
        parts = [f"{json.dumps(k)}{colon}{json.dumps(v, ensure_ascii=ascii_only)}" for k, v in fields]
        text.append("{" + comma.join(parts) + "}" + tail)
    agree(looked_at(quickly, quickly.sniffed("a.json", "".join(f"{line}\n" for line in text))))


@pytest.mark.spark
def test_csv_that_is_plain_is_certain(feed: NewFeed) -> None:
    rows = by_hand(feed)
    names = [field.partition(" ")[0] for field in TYPES.split(", ")]
    plain = [
        "1.5,1.25,2026-01-02T03:04:05Z,2026-01-02,true,a,b",
        "20,3,2026-01-02,2026-01-02,FALSE,,",
        "1.50,-3.10,2026-01-02 03:04:05,,,x y,z",
        "1e3,,,,,,",
        "NaN,,,,,,",
    ]
    other = [
        "0.1000000000000000055,,,,,,",
        "1d,,,,,,",
        "007,,,,,,",
        ",1.255,,,,,",
        ",,yesterday,,,,",
        ",,,2026-02-30,,,",
        ",,,,yes,,",
        ",,,,,\ufffd,",
        ",,,,,too,many,values",
    ]
    text = "".join(f"{at},{at},{row}\n" for at, row in enumerate([*plain, *other]))
    entry = rows.write("a.csv", f"{','.join(names)}\n{text}", csv_shape(*names, multiline="true"))
    assert agree(looked_at(rows, entry)) == set(range(len(plain)))


TOKENS = st.one_of(
    TEXTS,
    NUMBERS.map(str),
    st.sampled_from(
        ["", " 5", "5 ", "+5", "-0", "-0.0", "5.", ".5", "1E2", "inf", "Infinity", "0x1p3", "5f", "true", "T"]
    ),
)  # fmt: skip


@pytest.mark.spark
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.lists(TOKENS, min_size=8, max_size=8), min_size=30, max_size=60))
def test_a_certain_row_of_csv_is_as_a_careful_look_has_it(feed: NewFeed, made: list[list[str]]) -> None:
    rows = by_hand(feed)
    names = [field.partition(" ")[0] for field in TYPES.split(", ")]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *([str(at), *row] for at, row in enumerate(made))])
    agree(looked_at(rows, rows.write("a.csv", text.getvalue(), csv_shape(*names, multiline="true"))))


@pytest.mark.spark
def test_files_with_an_uncertain_row_are_read_again_and_no_others(
    spark: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table(spark, tmp_path / "feed", {"type": "json", "schema": {"evolution_mode": "rescue"}})
    table.write("a.json", b'{"id": 1, "name": "a"}\n')
    table.run()
    for at in range(3):
        table.write(f"b{at}.json", f'{{"id": {at}, "name": "b"}}\n'.encode())
    table.write("c.json", b'{"id": 7, "name": "c", "more": 5}\n{"id": "x", "name": "d"}\n')
    with caplog.at_level(logging.INFO, "ingestions.engine.batch"):
        table.run()
    (again,) = [record for record in caplog.records if record.message == "files to be read with care"]
    assert vars(again)["files"] == 1
    rows = table.rows()
    assert rows["b1.json"] == [{"id": 1, "name": "b"}]
    assert [row["_rescued"] for row in rows["c.json"]] == [{"more": "5"}, {"id": "x"}]
    assert {name: verdict.state for name, verdict in table.verdicts().items()} == dict.fromkeys(
        ["a.json", "b0.json", "b1.json", "b2.json", "c.json"], State.LOADED
    )


@pytest.mark.spark
def test_what_is_uncertain_is_never_published(feed: NewFeed) -> None:
    rows = feed("json")
    rows.load(rows.json("a.json", {"n": 1}))
    entry = rows.json("b.json", {"n": 2}, {"n": 3, "more": True})
    attempt = rows.attempt()
    staged = rows.loader.stage([entry], batch_id="b", attempt=attempt, plan=Plan(careful=frozenset()))
    audit = rows.loader.audit(staged, attempt, [entry])
    assert audit.uncertain == {entry.file.address}
    assert audit.rows == 2
    with pytest.raises(FatalError, match="read with care"):
        rows.loader.publish(attempt, staged)


# ---- how a writer sets its lines

KNOWN: dict[str, types.Type] = {"a": types.BIGINT, "b": types.DOUBLE, "c": types.STRING}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"a": 1, "b": 2.0, "c": null}', Style(("a", "b", "c"), ", ", ": ", False, False)),
        ('{"a":1,"b":2}', Style(("a", "b"), ",", ":", True, True)),
        ('{"c": "x", "a": 1}', Style(("c", "a"), ", ", ": ", True, None)),
        ('{"b": 1.5}', Style(("b",), ", ", ": ", True, None)),
        ('{"a": 1, "u": 2}', None),
        ('{"a": 1, "a": 2}', None),
        ('[{"a": 1}]', None),
        ('{"a": 1', None),
        ("", None),
        ("{}", None),
    ],
)
def test_a_style_is_that_of_a_line(line: str, expected: Style | None) -> None:
    assert style_of(line, KNOWN) == expected
