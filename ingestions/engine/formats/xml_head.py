"""Which element of an XML file makes a row, and what the file says of its own encoding.

Expat opens no external entity and bounds what entities may grow to; it sees a file's first bytes only.
"""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_DECLARED = re.compile(r"""\A\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
#: where what looks like an element is none.
_NO_ELEMENTS = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.DOTALL)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
#: elements below which no more is looked at: what nests deeper than any document of people is no data.
_DEEPEST = 200


class NotXml(Exception):
    """The text does not begin like an XML document does."""


@dataclass
class Outline:
    """What the first bytes show. ``below``: names of the root's children, ``seen``: of all elements, both as they are
    written, prefix included. ``mixed``: an element has text beside elements."""

    root: str = ""
    below: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    mixed: bool = False

    @property
    def row_tag(self) -> str:
        """The root's children where all of them have one name; else the root: then the document is one row."""
        names = set(self.below)
        return names.pop() if len(names) == 1 else self.root


def declared(text: str) -> str | None:
    """The encoding that the document says it is in."""
    found = _DECLARED.match(text)
    return found[1] if found else None


def outline(text: str) -> Outline:
    """Raises :class:`NotXml` where not even an element begins. A document that breaks off is no error here."""
    found = Outline()
    stack: list[_Open] = []
    for kind, name in _events(text):
        if kind == "start":
            if stack:
                stack[-1].elements += 1
            if len(stack) == 1:
                found.below.append(name)
            found.root = found.root or name
            found.seen.add(name)
            stack.append(_Open())
        elif kind == "text" and stack and name.strip():
            stack[-1].texts += 1
        elif kind == "end" and stack:
            closed = stack.pop()
            found.mixed |= bool(closed.texts and closed.elements)
        if len(stack) > _DEEPEST:
            break
    if not found.root:
        raise NotXml
    return found


def hides_rows(text: str, row_tag: str) -> bool:
    """Whether a comment or CDATA holds what a reader that looks for the row's tags only takes for a row."""
    tag = re.compile(rf"</?{re.escape(row_tag)}[\s/>]")
    return any(tag.search(found[0]) for found in _NO_ELEMENTS.finditer(text))


@dataclass
class _Open:
    texts: int = 0
    elements: int = 0


def _events(text: str) -> Iterator[tuple[str, str]]:
    """Starts and ends of elements and the texts between them, with names as they are written."""

    found: list[tuple[str, str]] = []
    parser = expat.ParserCreate()  # without namespaces: names keep their prefixes, as Spark has them
    parser.StartElementHandler = lambda name, _attributes: found.append(("start", name))
    parser.EndElementHandler = lambda name: found.append(("end", name))
    parser.CharacterDataHandler = lambda data: found.append(("text", data))
    with suppress(expat.ExpatError):  # damaged further down: the rows before it are rows, and Spark tells of the others
        parser.Parse(_DECLARATION.sub("", text, count=1), False)
    return iter(found)
