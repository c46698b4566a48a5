"""Whether a JSON file holds one record a line or one document."""

from __future__ import annotations

import json
import re


class NotJson(Exception):
    """The text does not begin like JSON records do."""


class Concatenated(Exception):
    """Several documents, each over several lines, follow each other."""


#: characters of a first record that is kept for comparison.
MAX_SAMPLE = 16_384
_DECODER = json.JSONDecoder()
_LINE_END = re.compile(r"\r\n|\n|\r")


def is_document(text: str, complete: bool) -> bool:
    """``True`` for an array or an object that spans lines, ``False`` for records a line. ``text`` may be cut off."""
    body = text.lstrip()
    if body[:1] not in ("{", "["):
        raise NotJson
    end = _LINE_END.search(body)
    line = (body[: end.start()] if end else body).rstrip()
    rest = body[end.end() :].lstrip() if end else ""
    if is_value(line):
        # one array and nothing behind it is a document; arrays line by line are records
        return body[0] == "[" and not rest
    if body[0] == "[":
        return True
    if end is None:
        return False
    try:
        _, stop = _DECODER.raw_decode(body)
    except (ValueError, RecursionError):
        # cut off, or malformed: a pretty-printed document breaks its line behind an opening or a comma
        return line.endswith(("{", "[", ","))
    if _LINE_END.search(body, 0, stop) is None:
        return False
    if body[stop:].strip():
        raise Concatenated
    return True


def first_line(text: str) -> str:
    """The first record of a file with one a line; nothing where it is longer than anybody would compare."""
    body = text.lstrip()
    end = _LINE_END.search(body, 0, MAX_SAMPLE)
    line = body[: end.start()] if end else body
    return line.rstrip() if len(line) <= MAX_SAMPLE else ""


def words(line: str) -> list[str]:
    """The keys of a record whose values are texts."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return [key for key, value in record.items() if isinstance(value, str)] if isinstance(record, dict) else []


def is_value(line: str) -> bool:
    """Whether the text is one whole JSON value."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
