"""``feed.yaml``: one ingestion's configuration as a file that may lie in git.

YAML is read by the rules of version 1.2 (``no`` is a text and no boolean, ``12:30`` is a text and no number), duplicate
keys are refused, and every fault says where it stands. Credential values may name environment variables,
``${ORDERS_SECRET}``, so that the file holds no secret.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from autoloader.lib.errors import ConfigError
from ingestions.services.configuration import InvalidConfig

LONGEST_BYTES = 1_000_000
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: where variables are put in; anywhere else ``${…}`` is text, as it may well stand in a key or a pattern.
_CREDENTIALS = ("source", "credentials")

Path_ = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),  # 007 stays a text: it is an id, or an octal nobody meant
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), [*_first.replace("\0", ""), ""])


@dataclass
class FeedFile:
    """``document`` is the body that REST takes, variables put in; ``places`` are line and column of each field."""

    name: str
    document: dict[str, Any] = field(repr=False)
    places: Mapping[Path_, tuple[int, int]]

    def place(self, loc: str) -> str:
        """``line 4, column 3`` of a dotted field, or of the nearest one above it that is there."""
        parts = tuple(loc.split(".")) if loc else ()
        while parts not in self.places:
            parts = parts[:-1]
        return _at(*self.places[parts])

    def located(self, error: ConfigError) -> ConfigError:
        """The same error, with the place in the file that it is about."""
        if isinstance(error, InvalidConfig):
            return InvalidConfig(
                [
                    {**fault, "msg": f"{fault['msg']} ({self.name}, {self.place(fault['loc'])})"}
                    for fault in error.errors
                ]
            )
        if error.field is None:
            return error
        where = f"{error.message} ({self.name}, {self.place(error.field)})"
        return type(error)(error.code, where, error.hint, field=error.field)


def read_feed(path: str, environment: Mapping[str, str] = os.environ) -> FeedFile:
    """The file, ``-`` for standard input. Raises ConfigError with line and column; no secret stands in it."""
    name = "standard input" if path == "-" else path
    text = _text(path, name)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError("empty_feed", f"{name} is empty.", "See docs/configuration.md for what belongs into it.")
        if not isinstance(node, MappingNode):
            raise _fault(name, node, "a mapping of fields is expected here")
        places: dict[Path_, tuple[int, int]] = {}
        _walk(name, node, (), places, open_nodes=set())
        document = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", {_at(mark.line + 1, mark.column + 1)}" if mark else ""
        problem = error.problem or error.context or "not readable"
        raise ConfigError(
            "invalid_yaml", f"{name}{where}: {problem}.", "Correct the YAML; nothing was changed."
        ) from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            "invalid_yaml",
            f"{name} holds a character that YAML does not allow, at position {error.position}.",
            "Take it out, or write it as an escape in double quotes.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError("invalid_yaml", f"{name} cannot be read: {error}.", "Correct the YAML.") from None
    finally:
        if loader is not None:
            loader.dispose()
    feed = FeedFile(name, document, places)
    _put_in_variables(feed, environment)
    return feed


def _text(path: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read(LONGEST_BYTES + 1) if path == "-" else _bytes(Path(path))
    except OSError as error:
        raise ConfigError(
            "feed_not_read",
            f"{name} cannot be read: {error.strerror}.",
            "Give the path of a YAML file, or - for stdin.",
        ) from None
    if len(data) > LONGEST_BYTES:
        raise ConfigError("feed_too_large", f"{name} is larger than {LONGEST_BYTES} bytes.", "Is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("invalid_yaml", f"{name}, line {line}: not UTF-8.", "Save the file as UTF-8.") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST_BYTES + 1)


def _at(line: int, column: int) -> str:
    return f"line {line}, column {column}"


def _fault(name: str, node: Node, problem: str) -> ConfigError:
    where = _at(node.start_mark.line + 1, node.start_mark.column + 1)
    return ConfigError("invalid_yaml", f"{name}, {where}: {problem}.", "Correct the YAML; nothing was changed.")


def _walk(name: str, node: Node, at: Path_, places: dict[Path_, tuple[int, int]], open_nodes: set[int]) -> None:
    """Notes where each field stands (a mapping's field at its key) and refuses what a dictionary would swallow."""
    places.setdefault(at, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, ScalarNode):
        if node.tag == "tag:yaml.org,2002:str" and not _storable(node.value):
            raise _fault(name, node, "the text holds a NUL or half of a surrogate pair")
        return
    if id(node) in open_nodes:
        raise _fault(name, node, "an alias refers to what it is part of")
    open_nodes.add(id(node))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _walk(name, item, (*at, str(index)), places, open_nodes)
    elif isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _fault(name, key, "a field's name has to be a text")
            if key.value in seen:
                raise _fault(name, key, f"the field {key.value!r} stands here a second time")
            seen.add(key.value)
            places[(*at, key.value)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            _walk(name, value, (*at, key.value), places, open_nodes)
    open_nodes.discard(id(node))


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _put_in_variables(feed: FeedFile, environment: Mapping[str, str]) -> None:
    held: Any = feed.document
    for part in _CREDENTIALS:
        held = held.get(part) if isinstance(held, dict) else None
    if not isinstance(held, dict):
        return
    for key, value in held.items():
        if not isinstance(value, str):
            continue
        for variable in _VARIABLE.findall(value):
            if not environment.get(variable):
                field_ = ".".join((*_CREDENTIALS, str(key)))
                raise feed.located(
                    ConfigError(
                        "unknown_variable",
                        f"The environment variable {variable} is not set.",
                        f"Set it where this command runs: export {variable}=….",
                        field=field_,
                    )
                )
        held[key] = _VARIABLE.sub(lambda found: environment[found[1]], value)
