"""Made-up feeds whose columns appear, vanish, move, change their case and their types from file to file."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

#: name → kind that its values usually have.
COLUMNS = {
    "count": "whole", "price": "number", "day": "day", "at": "moment", "flag": "flag", "code": "word", "note": "any",
    "größe": "number", "x.y": "whole", "select": "word", "a b": "day", "😀": "any",
}  # fmt: skip
KEY = "n"
WORDS = ("", " ", "x", "007", "1e5", "NULL", "N/A", "true", "0", "-1", "2024-02-29", "2024-02-30", "1.50", "1,5", "+5",
         "3.0000000000000001", "9223372036854775808", "1e400", "NaN", 'say "hi"', "a\nb", "a\r\nb", "it's", "\\",
         "ä€😀",
         " x ", "{}", "[1]", '{"x":1}', "=1+1", "\t", "\u00a0", "2024-01-02T03:04:05Z")  # fmt: skip
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), max_size=12)
ANY = st.one_of(st.sampled_from(WORDS), _TEXT)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_DAYS = st.dates().map(lambda day: day.isoformat())
TEXTS: dict[str, st.SearchStrategy[str]] = {
    "whole": st.integers(-(2**70), 2**70).map(str) | st.integers(-9, 99).map(str),
    "number": st.decimals(-(10**6), 10**6, places=2).map(str) | _FLOATS.map(repr),
    "day": _DAYS,
    "moment": st.tuples(_DAYS, st.times()).map(lambda pair: f"{pair[0]}T{pair[1].isoformat('microseconds')}Z"),
    "flag": st.sampled_from(["true", "false", "TRUE", "False", "yes", "1"]),
    "word": st.sampled_from(["a", "b", "0042", "1.10", "−1"]),
    "any": ANY,
}  # fmt: skip
_LEAF = st.one_of(st.none(), st.booleans(), st.integers(-(2**64), 2**64), st.floats(-1e9, 1e9), ANY)
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**65), 2**65) | st.integers(-9, 99),
    "number": _FLOATS | st.integers(-5, 5),
    "day": _DAYS,
    "moment": TEXTS["moment"],
    "flag": st.booleans(),
    "word": TEXTS["word"],
    "any": _TREE,
}


@dataclass(frozen=True)
class Made:
    """A file of a made-up feed: how it is written, and its records (name → text, or JSON value)."""

    name: str
    content: bytes
    records: tuple[dict[str, Any], ...]


Runs = tuple[tuple[Made, ...], ...]
Writer = Callable[[Sequence[str], list[dict[str, Any]], Callable[..., Any]], tuple[str, bytes]]


@st.composite
def csv_feeds(draw: Callable[..., Any]) -> Runs:
    """Runs of files of CSV: any delimiter, line end, mark, gzip."""
    return _feed(draw, TEXTS, _csv)


@st.composite
def json_feeds(draw: Callable[..., Any]) -> Runs:
    """Runs of files of JSON: a record a line, or one array; compact or not."""
    return _feed(draw, VALUES, _json)


def _feed(draw: Callable[..., Any], values: dict[str, st.SearchStrategy[Any]], write: Writer) -> Runs:
    count = 0
    runs = []
    for run in range(draw(st.integers(2, 3))):
        files = []
        for number in range(draw(st.integers(1, 3))):
            names, records = _records(draw, values, count)
            ending, content = write(names, records, draw)
            count += len(records)
            files.append(Made(f"{run}-{number}.{ending}", content, tuple(records)))
        runs.append(tuple(files))
    return tuple(runs)


def _records(
    draw: Callable[..., Any], values: dict[str, st.SearchStrategy[Any]], first: int
) -> tuple[list[str], list[dict[str, Any]]]:
    """Some columns in some order, in some case; now and then one of another kind, or a single value that is."""
    chosen = draw(st.lists(st.sampled_from(list(COLUMNS)), unique=True, min_size=1, max_size=6))
    cases = st.sampled_from([str, str, str.upper, str.title])
    names = [draw(cases)(name) for name in chosen]
    drifted = [draw(st.sampled_from([COLUMNS[name]] * 3 + ["any"])) for name in chosen]
    records = []
    for row in range(draw(st.integers(0, 8))):
        kinds = [draw(st.sampled_from([kind] * 8 + ["any"])) for kind in drifted]
        record = {name: draw(values[kind]) for name, kind in zip(names, kinds, strict=True)}
        records.append({KEY: str(first + row) if values is TEXTS else first + row, **record})
    return draw(st.permutations([KEY, *names])), records


def _csv(names: Sequence[str], records: list[dict[str, Any]], draw: Callable[..., Any]) -> tuple[str, bytes]:
    text = io.StringIO(newline="")
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.DictWriter(text, names, delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(records)
    content = (draw(st.sampled_from(["", "\ufeff"])) + text.getvalue()).encode()
    return ("csv.gz", gzip.compress(content, mtime=0)) if draw(st.booleans()) else ("csv", content)


def _json(names: Sequence[str], records: list[dict[str, Any]], draw: Callable[..., Any]) -> tuple[str, bytes]:
    ordered = [{name: record[name] for name in names} for record in records]
    shown: dict[str, Any] = draw(st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}]))
    if draw(st.booleans()):
        return "json", "".join(json.dumps(record, **shown) + "\n" for record in ordered).encode()
    return "json", json.dumps(ordered, indent=draw(st.sampled_from([None, 1])), **shown).encode()
