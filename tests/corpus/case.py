"""What a case of the corpus is: files of one feed, each with its verdict and the rows that have to come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestions.engine.ledger import State

#: in an expected row: what ``_rescued_data`` holds, key → text, without the file's address.
RESCUED = "_rescued"
Row = Mapping[str, Any]
#: bytes, or what writes them to a path.
Content = bytes | Callable[[Path], None]


@dataclass(frozen=True)
class File:
    """``rows``: the values by column; columns that are not named are null. ``reason``: the error's code, or the word
    that a listing gives."""

    name: str
    content: Content
    rows: tuple[Row, ...] = ()
    verdict: State = State.LOADED
    reason: str = ""


@dataclass(frozen=True)
class Feed:
    """Files that are loaded into one table by one configuration, in one run. ``types``: the table's columns afterwards,
    ours left out; ``None`` where the configuration says them."""

    name: str
    files: tuple[File, ...]
    format: Mapping[str, Any]
    types: Mapping[str, str] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [file.name for file in self.files]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"{self.name} has two files of one name: {twice}"


def text(name: str, content: str, *rows: Row, encoding: str = "utf-8") -> File:
    """A file that is loaded, all of it."""
    return File(name, content.encode(encoding), rows)


def data(name: str, content: Content, *rows: Row) -> File:
    """The same for what is no text."""
    return File(name, content, rows)


def refused(name: str, content: bytes | str, code: str) -> File:
    """A file that fails with this error and leaves no row."""
    return File(name, content if isinstance(content, bytes) else content.encode(), (), State.FAILED, code)


def skipped(name: str, content: bytes | str, reason: str) -> File:
    """A file that is no fault and holds nothing to load."""
    return File(name, content if isinstance(content, bytes) else content.encode(), (), State.SKIPPED, reason)


def columns(ddl: str, **schema: Any) -> dict[str, Any]:
    """The part of a format that says the table's columns. What the files have more is rescued, unless ``schema`` says
    something else."""
    return {"schema": {"inference": "manual", "schema_json": ddl, "evolution_mode": "rescue", **schema}}
