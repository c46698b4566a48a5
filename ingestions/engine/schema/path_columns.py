"""Columns that stand in a file's address: ``dt=2024-01-01/`` (hive), or by a pattern of the folders like
``{region}/{yyyy}/{mm}``. Plain values; the cluster uses the same regular expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote

from autoloader.lib.errors import ConfigError
from ingestions.engine.schema import types

HIVE = "hive"
#: how Hive and Spark write a partition whose value is null.
NULL = "__HIVE_DEFAULT_PARTITION__"
_FIELD = "format.path_columns"
_PART = re.compile(r"\{([^{}/]*)\}|(\*+)")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class PathColumns:
    """``base``: what the folders are below, with its last ``/``. ``pattern``: ``None`` for hive."""

    base: str
    pattern: str | None = None

    @classmethod
    def of(cls, text: str | None, base: str) -> PathColumns | None:
        """Raises ConfigError for a pattern that makes no sense."""
        if text is None:
            return None
        found = cls(base, None if text == HIVE else text)
        found.check()
        return found

    def check(self) -> None:
        if self.pattern is None:
            return
        names = self.names_of_pattern()
        if not names:
            raise _bad(self.pattern, "it names no column")
        if any(not name.strip() or any(char < " " for char in name) for name in names):
            raise _bad(self.pattern, "a name in it is blank")
        if len({name.lower() for name in names}) < len(names):
            raise _bad(self.pattern, "a name stands in it twice")
        if "{" in _PART.sub("", self.pattern) or "}" in _PART.sub("", self.pattern):
            raise _bad(self.pattern, "a bracket is not closed")
        if self.pattern.startswith("/"):
            raise _bad(self.pattern, "it starts with a slash, and is below the source's path")

    def names_of_pattern(self) -> list[str]:
        return [each[1] for each in _PART.finditer(self.pattern or "") if each[1] is not None]

    def expression(self, name: str) -> str:
        """A regular expression, Python's and Java's alike, over an address; its first group is the column's text."""
        if self.pattern is None:
            return f"^{re.escape(self.base)}(?:[^/]*/)*?{re.escape(name)}=([^/]*)/"
        folders = self.pattern.rstrip("/")
        last = folders.rpartition("/")[2]
        is_file = not self.pattern.endswith("/") and bool({".", "*"} & set(_PART.sub(_star_or_name, last)))
        pieces, at = [], 0
        for part in _PART.finditer(folders):
            pieces.append(re.escape(folders[at : part.start()]))
            if part[1] is None:
                pieces.append("[^/]*" if part[2] == "*" else ".*")
            else:
                pieces.append("([^/]+?)" if part[1] == name else "[^/]+?")
            at = part.end()
        return f"^{re.escape(self.base)}{''.join(pieces)}{re.escape(folders[at:])}{'$' if is_file else '/'}"

    def values(self, address: str) -> dict[str, str | None]:
        """Name → text of this address; ``None`` for a null. Names that the address has not are missing."""
        names = self._hive_names(address) if self.pattern is None else self.names_of_pattern()
        found: dict[str, str | None] = {}
        for name in names:
            match = re.match(self.expression(name), address)
            if match:
                found[name] = self.text(match[1])
        return found

    def text(self, raw: str) -> str | None:
        if self.pattern is not None:
            return raw or None
        return None if raw in ("", NULL) else unquote(raw, errors="replace")

    def _hive_names(self, address: str) -> list[str]:
        if not address.startswith(self.base):
            return []
        folders = address[len(self.base) :].split("/")[:-1]
        names: dict[str, str] = {}
        for folder in folders:
            name, equals, _ = folder.partition("=")
            if equals and name.strip():
                names.setdefault(name.lower(), name)
        return list(names.values())


def _star_or_name(part: re.Match[str]) -> str:
    return "*" if part[1] is None else ""


def guessed(texts: Iterable[str | None]) -> types.Type:
    """The type of a column by the texts that addresses have: whole numbers, days, else text. ``01`` is text, as
    everywhere; a hint makes a number of it."""
    given = {text for text in texts if text is not None}
    if given and all(_WHOLE.fullmatch(text) and str(int(text)) == text for text in given):
        return types.BIGINT
    return types.DATE if given and all(_is_day(text) for text in given) else types.STRING


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _bad(text: str, why: str) -> ConfigError:
    return ConfigError(
        "bad_path_columns",
        f"“{text}” tells no columns of a path: {why}.",
        "Write hive for folders like dt=2024-01-01, or a pattern of the folders below the source's path, such as "
        "{region}/{yyyy}/{mm}.",
        field=_FIELD,
    )
