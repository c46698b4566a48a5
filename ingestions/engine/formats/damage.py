"""What a text that is there as a whole, or its first bytes, show to be wrong with a file of records."""

from __future__ import annotations

import json
import re

from autoloader.lib.errors import FileError

#: the marks that a line of a text hardly ever has seven of; one of a conflict's two kinds is among them.
_MARKS = ("<" * 7, ">" * 7, "|" * 7)
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: [^\r\n]*)?\r?$|^={7}\r?$", re.MULTILINE)
#: a word that is not written to its end, such as ``tru`` or ``-``.
_BEGUN = frozenset(word[:end] for word in ("true", "false", "null", "-Infinity") for end in range(1, len(word)))


def check_conflict(address: str, text: str) -> None:
    """Raises FileError where the marks of a merge conflict stand in the text: of at least two kinds, each in a line of
    its own."""
    if not any(mark in text for mark in _MARKS):  # a tenth of the time that the lines would take
        return
    marks = list(_CONFLICT.finditer(text))
    if len({mark[0][0] for mark in marks}) > 1:
        raise conflict(address, text.count("\n", 0, marks[0].start()) + 1)


def conflict(address: str, line: int | None) -> FileError:
    where = f" in line {line:,}" if line else ""
    return FileError(
        "merge_conflict",
        f"{address} holds a merge conflict that nobody has resolved{where}.",
        "Resolve it and deliver the file again; the new version is loaded.",
        path=address,
    )


def check_cut(address: str, text: str, *, document: bool) -> None:
    """Raises FileError where a JSON file ends in the middle of a record; ``text`` is the whole of it."""
    if is_cut(text if document else last_line(text)):
        raise cut(address, text.rstrip().count("\n") + 1)


def last_line(text: str) -> str:
    """What stands behind the last line end."""
    return text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]


def cut(address: str, line: int | None) -> FileError:
    where = f", in line {line:,}" if line else ""
    return FileError(
        "json_cut",
        f"{address} ends in the middle of a record{where}: it was not written to its end.",
        "Deliver the whole file; the new version is loaded.",
        path=address,
    )


def is_cut(text: str) -> bool:
    """Whether a record is begun and the text ends before it does. What is malformed before its end is not cut."""
    text = text.strip()
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        inside = error.msg.startswith("Unterminated string")
        return error.pos >= len(text) or inside or text[error.pos :] in _BEGUN
    except RecursionError:
        return False
    return False
