"""The dialect and the header of a CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
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
    """The first record that is not blank; ``[]`` where the whole file is blank, skipped or comment. Raises
    :class:`Incomplete` where the text at hand ends before the record does, :class:`Unreadable` where the file does.
    """
    found = next(records(text, complete, delimiter, options), None)
    if found is not None:
        return found
    if not complete:
        raise Incomplete
    if options.quote and options.quote in text:
        raise Unreadable("a quote is opened and never closed")
    return []


def line_end(text: str, delimiter: str, options: config.FormatOptions) -> str:
    """What parts the rows: CR where the first record ends with one, as on old Macs, else LF, which files with CR LF
    have as well. CR LF is told apart only where the file begins with a blank line: it must not pass for the header.
    """
    if text.startswith("\r\n"):
        return "\r\n"
    lines = _Lines(text, complete=True)
    with suppress(csv.Error):
        next((record for record in _reader(lines, delimiter, options) if record), None)
    return "\r" if lines.behind().endswith("\r") else "\n"


def records(text: str, complete: bool, delimiter: str, options: config.FormatOptions) -> Iterator[list[str]]:
    """The whole records of a text that may be cut off at its end; blank lines are no records."""
    multiline = options.multiline is not False
    lines = _Lines(text, complete, options.skip_lines, options.comment)
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


def has_header(text: str, complete: bool, delimiter: str, options: config.FormatOptions) -> bool:
    """Whether the first record names the columns. It does unless a cell of it is a number like all those below it, and
    the numbers of the first record are neither years nor places (1, 2, 3 …), which do name columns."""
    try:
        first, *others = islice(records(text, complete, delimiter, options), _SAMPLE)
    except (Unreadable, ValueError):
        return True
    numbers = [cell for at, cell in enumerate(first) if _is_number(cell) and _all_numbers(at, others)]
    places = [str(at) for start in (0, 1) for at in range(start, start + len(first))]
    named = all(re.fullmatch(r"(?:1[0-9]|20)[0-9]{2}", cell) for cell in numbers)
    counted = len(first) > 1 and len(numbers) == len(first) and all(cell in places for cell in numbers)
    return not numbers or named or counted


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?(?:[0-9]+(?:[.,][0-9]+)*|[0-9]*\.[0-9]+)(?:[eE][+-]?[0-9]+)?", cell.strip()) is not None


def _all_numbers(at: int, others: Sequence[Sequence[str]]) -> bool:
    cells = [record[at] for record in others if at < len(record) and record[at].strip()]
    return bool(cells) and all(map(_is_number, cells))


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
    was asked for than there is. The first ``skip`` lines are left out, and those that begin with ``comment``.
    """

    def __init__(self, text: str, complete: bool, skip: int = 0, comment: str | None = None) -> None:
        self._text = text
        self._complete = complete
        self._at = 0
        self._comment = comment
        self.ran_out = False
        for _ in range(skip):
            next(self._raw(), None)

    def behind(self) -> str:
        """The last one or two characters that were given out."""
        return self._text[max(0, self._at - 2) : self._at]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._raw():
            if self._comment is None or not line.startswith(self._comment):
                return line
        self.ran_out = True
        raise StopIteration

    def _raw(self) -> Iterator[str]:
        while True:
            start, found = self._at, _END.search(self._text, self._at)
            self._at = found.end() if found else len(self._text)
            if not found and (not self._complete or start >= self._at):
                return
            yield self._text[start : self._at]
