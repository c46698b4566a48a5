"""Which names a pattern means. ``*`` and ``?`` never cross ``/``, ``**`` does; ``[a-z]``, ``[!a]``, ``{a,b}``; a
backslash takes the next character literally; matching is case-sensitive. An unclosed ``[`` or ``{`` and a ``{}``
without a comma are plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from autoloader.lib.errors import ConfigError

#: bounds that keep matching linear in practice; no pattern of a person comes near them.
MAX_LENGTH = 1024
MAX_WILDCARDS = 16

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


def translate(pattern: str, *, field: str = "source.file_pattern") -> str:
    """The regular expression (for ``fullmatch`` with DOTALL) of a pattern. ConfigError where it is not usable."""
    if len(pattern) > MAX_LENGTH or len(re.findall(r"\*+|\{", pattern)) > MAX_WILDCARDS:
        raise ConfigError(
            "pattern_too_complex",
            f"The pattern is longer than {MAX_LENGTH} characters or has more than {MAX_WILDCARDS} wildcards.",
            "Split the feed into several ingestions, or match a folder with **.",
            field=field,
        )
    parts: list[str] = []
    braces: list[bool] = []  # of each open brace: whether it opens alternatives
    for match in _WILDCARD.finditer(pattern):
        kind, text = match.lastgroup, match.group()
        inside = bool(braces) and braces[-1]
        if kind == "deep":
            before = pattern[match.start() - 1 : match.start()]
            at_folder = before in ("", "/") or (inside and before in "{,")
            # `**/` is any number of folders, none included; elsewhere `**` is anything.
            parts.append("(?:.*/)?" if at_folder and text == "**/" else ".*" + text[2:])
        elif kind == "star":
            parts.append("[^/]*")
        elif kind == "one":
            parts.append("[^/]")
        elif kind == "set":
            parts.append(_character_set(text, pattern, field))
        elif kind == "open":
            braces.append(True)
            parts.append("(?:")
        elif inside and text == ",":
            parts.append("|")
        elif braces and text == "}":
            parts.append(")" if braces.pop() else re.escape(text))
        else:
            if braces and text == "{":
                braces.append(False)
            parts.append(re.escape(text[-1]))
    return "".join(parts)


def _character_set(text: str, pattern: str, field: str) -> str:
    inside = text[1:-1]
    negated = inside[:1] in ("!", "^")
    inside = inside[1:] if negated else inside
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", inside)
    expression = f"[^/{body}]" if negated else f"(?!/)[{body}]"
    try:
        re.compile(expression)
    except re.error:
        raise ConfigError(
            "invalid_pattern",
            f"The pattern {pattern!r} has a character range that is not one: {text}.",
            "Write ranges from low to high, such as [0-9].",
            field=field,
        ) from None
    return expression


def _below(pattern: str, field: str) -> str:
    """A file pattern as an expression over the key below a folder: a name in any folder, or the whole key."""
    if "/" in pattern:
        return translate(pattern.removeprefix("/"), field=field)
    return f"(?:.*/)?{translate(pattern, field=field)}"


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
    """Compiles a path's own glob, the file pattern and the exclude pattern, once. Raises ConfigError.

    A glob in the path may name folders or files: ``in/*`` with the pattern ``*.csv`` means every CSV in any folder
    below ``in``, and the CSV files in ``in`` itself.
    """
    expression = _expression(glob, file_pattern)
    matcher = re.compile(expression, re.DOTALL)
    loose = re.compile(expression, re.DOTALL | re.IGNORECASE)
    excluded = re.compile(_below(exclude_pattern, "source.exclude_pattern"), re.DOTALL) if exclude_pattern else None
    return Selection(
        wanted=" and ".join(part for part in (glob, file_pattern) if part),
        matches=lambda key: matcher.fullmatch(key) is not None,
        matches_any_case=lambda key: loose.fullmatch(key) is not None,
        excludes=lambda key: excluded is not None and excluded.fullmatch(key) is not None,
    )


def _expression(glob: str | None, file_pattern: str | None) -> str:
    below = _below(file_pattern, "source.file_pattern") if file_pattern else ".*"
    if glob is None:
        return below
    path = translate(glob, field="source.path")
    if glob.endswith("/"):
        return f"(?:{path})(?:{below})"
    if file_pattern and "/" in file_pattern:
        return f"(?:{path})/(?:{below})"
    return f"(?:{path})/(?:{below})|(?=(?:{below})\\Z)(?:{path})"
