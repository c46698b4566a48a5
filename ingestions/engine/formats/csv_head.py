"""The dialect and the header of a CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from ingestions.engine import config
from ingestions.engine.formats.head import STEPS

DELIMITERS = (",", ";", "\t", "|")
#: records that the delimiter is judged by.
_SAMPLE = 100
# A cell may be as long as the text at hand. Python's own bound, half a file's first bytes once they are unpacked, would
# make every delimiter look wrong.
csv.field_size_limit(max(csv.field_size_limit(), STEPS[-1]))
_END = re.compile(r"\r\n|\n|\r")


class Incomplete(Exception):
    """The header does not end within the text at hand."""


class Unreadable(Exception):
    """No reading of the text as CSV makes sense."""


def detect_delimiter(text: str, complete: bool, options: config.FormatOptions) -> str:
    """The candidate that parts the most records into as many fields as the first, weighed by their number; a comma
    where nothing is parted.
    """
    best, best_score = ",", 0.0
    for candidate in DELIMITERS:
        if candidate not in text:
            continue  # looking for it costs a pass over megabytes that a few bytes of gzip unpack to
        try:
            sample = list(islice(records(text, complete, candidate, options), _SAMPLE))
        except Unreadable:
            continue
        if not sample or len(sample[0]) < 2:
            continue
        width = len(sample[0])
        agreeing = sum(len(record) == width for record in sample[1:])
        score = (width - 1) * (agreeing / (len(sample) - 1) if len(sample) > 1 else 1.0)
        if score > best_score:
            best, best_score = candidate, score
    return best


def first_record(text: str, complete: bool, delimiter: str, options: config.FormatOptions) -> list[str]:
    """The first record that is not blank; ``[]`` where the whole file is blank. Raises :class:`Incomplete` where the
    text at hand ends before the record does, :class:`Unreadable` where the file does.
    """
    found = next(records(text, complete, delimiter, options), None)
    if found is not None:
        return found
    if not complete:
        raise Incomplete
    if text.strip():
        raise Unreadable("a quote is opened and never closed")
    return []


def one_line(text: str) -> bool:
    """Whether only one line of the text holds anything. A second one may be a record or what is left of one."""
    return sum(1 for line in _END.split(text) if line.strip()) == 1


def records(text: str, complete: bool, delimiter: str, options: config.FormatOptions) -> Iterator[list[str]]:
    """The whole records of a text that may be cut off at its end; blank lines are no records."""
    multiline = options.multiline is not False
    lines = _Lines(text, complete)
    # without multiline Spark takes each line for itself, quotes or not
    units: Iterable[Iterable[str]] = [lines] if multiline else ([line] for line in lines if line.strip(" \r\n"))
    try:
        for unit in units:
            for record in _reader(unit, delimiter, options):
                if lines.ran_out:
                    return  # in the middle of a quoted field
                if record and (multiline or len(record) > 1 or record[0].strip()):
                    yield record
    except csv.Error as error:
        raise Unreadable(str(error)) from None


def _reader(lines: Iterable[str], delimiter: str, options: config.FormatOptions) -> Iterator[list[str]]:
    doubled = options.escape in (None, "", options.quote)
    return csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=options.quote or None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled else options.escape,
    )


class _Lines:
    """Lines with their ends; the rest behind the last end counts only where the text is complete. ``ran_out``: more
    was asked for than there is.
    """

    def __init__(self, text: str, complete: bool) -> None:
        self._text = text
        self._complete = complete
        self._at = 0
        self.ran_out = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        start, found = self._at, _END.search(self._text, self._at)
        self._at = found.end() if found else len(self._text)
        if found or (self._complete and start < self._at):
            return self._text[start : self._at]
        self.ran_out = True
        raise StopIteration
