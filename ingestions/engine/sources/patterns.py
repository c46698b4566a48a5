"""Which names a pattern means. ``*`` and ``?`` never cross ``/``, ``**`` does; ``[a-z]``, ``[!a]``, ``{a,b}``; a
backslash takes the next character literally; matching is case-sensitive. An unclosed ``[`` or ``{`` and a ``{}``
without a comma are plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from autoloader.lib.errors import ConfigError
from ingestions.engine.sources.automaton import Automaton, Test, any_character, within_folder

#: a bound on what one character can cost; no pattern of a person comes near it.
MAX_LENGTH = 1024

_WILDCARD = re.compile(
    r"""(?P<escaped>\\.)
      | (?P<deep>\*\*/?)
      | (?P<star>\*)
      | (?P<one>\?)
      | (?P<set>\[[!^]?\]?[^\]/]*\])
      | (?P<open>\{(?=[^{}]*(?:\{[^{}]*\}[^{}]*)*,[^{}]*(?:\{[^{}]*\}[^{}]*)*\}))
      | (?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)


def split_glob(path: str) -> tuple[str, str | None]:
    """(literal folder with its last ``/``, pattern below it) of a path; ``(path, None)`` where it holds no wildcard.

    The folder is given without its escapes.
    """
    folder_end = None
    literal: list[str] = []
    for match in _WILDCARD.finditer(path):
        kind, text = match.lastgroup, match.group()
        if kind in ("deep", "star", "one", "set", "open"):
            if folder_end is None:
                return "", path
            return "".join(literal)[: folder_end[0]], path[folder_end[1] :]
        literal.append(text[1] if kind == "escaped" else text)
        if text == "/":
            folder_end = (sum(map(len, literal)), match.end())
    return "".join(literal), None


def literal_start(pattern: str) -> str:
    """The characters that every match of ``pattern`` begins with."""
    start = []
    for match in _WILDCARD.finditer(pattern):
        if match.lastgroup not in ("escaped", "plain"):
            break
        start.append(match.group()[-1])
    return "".join(start)


def add_pattern(automaton: Automaton, pattern: str, *, field: str = "source.file_pattern") -> None:
    """Has the pattern come next. ConfigError where it is not usable."""
    if len(pattern) > MAX_LENGTH:
        raise ConfigError(
            "pattern_too_complex",
            f"The pattern is longer than {MAX_LENGTH} characters.",
            "Split the feed into several ingestions, or match a folder with **.",
            field=field,
        )
    braces: list[_Alternatives | None] = []  # the open ones; None for one that is a plain character
    for match in _WILDCARD.finditer(pattern):
        kind, text = match.lastgroup, match.group()
        inside = braces[-1] if braces else None
        if kind == "deep":
            before = pattern[match.start() - 1 : match.start()]
            at_folder = before in ("", "/") or (inside is not None and before in "{,")
            # `**/` is any number of folders, none included; elsewhere `**` is anything.
            if at_folder and text == "**/":
                automaton.folders()
            else:
                automaton.many(any_character)
                automaton.text(text[2:])
        elif kind == "star":
            automaton.many(within_folder)
        elif kind == "one":
            automaton.one(within_folder)
        elif kind == "set":
            automaton.one(_character_set(text, pattern, field))
        elif kind == "open":
            braces.append(_Alternatives(automaton))
        elif inside is not None and text == ",":
            inside.next()
        elif braces and text == "}":
            if (closed := braces.pop()) is not None:
                closed.end()
            else:
                automaton.text(text)
        else:
            if braces and text == "{":
                braces.append(None)
            automaton.text(text[-1])


class _Alternatives:
    """``{a,b}``: what was built since the last comma is one of several ways from one state to another."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.start = automaton.at
        self.ends: list[int] = []
        self._begin()

    def _begin(self) -> None:
        self.automaton.at = self.automaton.state()
        self.automaton.join(self.start, self.automaton.at)

    def next(self) -> None:
        self.ends.append(self.automaton.at)
        self._begin()

    def end(self) -> None:
        self.ends.append(self.automaton.at)
        self.automaton.at = self.automaton.state()
        for end in self.ends:
            self.automaton.join(end, self.automaton.at)


def _character_set(text: str, pattern: str, field: str) -> Test:
    inside = text[1:-1]
    negated = inside[:1] in ("!", "^")
    inside = inside[1:] if negated else inside
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", inside)
    try:
        expression = re.compile(f"[{'^' if negated else ''}{body}]", re.DOTALL)  # one character: nothing to go back to
    except re.error:
        raise ConfigError(
            "invalid_pattern",
            f"The pattern {pattern!r} has a character range that is not one: {text}.",
            "Write ranges from low to high, such as [0-9].",
            field=field,
        ) from None
    return lambda char: char != "/" and expression.match(char) is not None


def _add_below(automaton: Automaton, pattern: str | None, field: str) -> None:
    """A file pattern over the key below a folder: a name in any folder, or the whole key."""
    if pattern is None:
        automaton.many(any_character)
    elif "/" in pattern:
        add_pattern(automaton, pattern.removeprefix("/"), field=field)
    else:
        automaton.folders()
        add_pattern(automaton, pattern, field=field)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which keys (relative to the source's folder) are meant. ``wanted`` is the pattern as people read it;
    ``matches_any_case`` only serves hints.
    """

    wanted: str
    matches: Callable[[str], bool]
    matches_any_case: Callable[[str], bool]
    excludes: Callable[[str], bool]


def select(glob: str | None, file_pattern: str | None, exclude_pattern: str | None) -> Selection:
    """Reads a path's own glob, the file pattern and the exclude pattern, once. Raises ConfigError.

    A glob in the path may name folders or files: ``in/*`` with the pattern ``*.csv`` means every CSV in any folder
    below ``in``, and the CSV files in ``in`` itself.
    """
    matches = _matcher(glob, file_pattern)
    loose = _matcher(glob.lower() if glob else None, file_pattern.lower() if file_pattern else None)
    excludes = Automaton()
    if exclude_pattern:
        _add_below(excludes, exclude_pattern, "source.exclude_pattern")
    return Selection(
        wanted=" and ".join(part for part in (glob, file_pattern) if part),
        matches=matches,
        matches_any_case=lambda key: loose(key.lower()),
        excludes=lambda key: bool(exclude_pattern) and excludes.matches(key),
    )


def _matcher(glob: str | None, file_pattern: str | None) -> Callable[[str], bool]:
    below, path, both = Automaton(), Automaton(), Automaton()
    _add_below(below, file_pattern or None, "source.file_pattern")
    if glob is None:
        return below.matches
    add_pattern(path, glob, field="source.path")
    add_pattern(both, glob, field="source.path")
    if not glob.endswith("/"):
        both.text("/")
    _add_below(both, file_pattern or None, "source.file_pattern")
    if glob.endswith("/") or (file_pattern and "/" in file_pattern):
        return both.matches
    return lambda key: both.matches(key) or (path.matches(key) and below.matches(key))
