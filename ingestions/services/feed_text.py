"""Configurations as YAML text that may lie in git: one ingestion a document.

YAML is read by the rules of version 1.2 (``no`` is a text and no boolean, ``12:30`` is a text and no number), duplicate
keys are refused, and every fault says where it stands. Credential values may name environment variables,
``${ORDERS_SECRET}``, so that the file holds no secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from autoloader.lib.errors import ConfigError
from ingestions.services.configuration import InvalidConfig
from ingestions.services.merging import merged

LONGEST_BYTES = 1_000_000
MOST_VALUES = 100_000
_CORE = "tag:yaml.org,2002:"
_TAGS = frozenset(_CORE + kind for kind in ("map", "seq", "str", "int", "float", "bool", "null"))
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
    _Loader.add_implicit_resolver(f"{_CORE}{_tag}", re.compile(_pattern), [*_first.replace("\0", ""), ""])


class FeedTooLarge(ConfigError):
    """More text than any set of ingestions is."""

    status = 413


@dataclass
class FeedDocument:
    """``body`` is what REST takes, variables put in; ``places`` are line and column of each field. ``name`` says which
    text it is from and, where there are several, which document of it."""

    name: str
    body: dict[str, Any] = field(repr=False)
    places: Mapping[Path_, tuple[int, int]]

    def place(self, loc: str) -> str:
        """``line 4, column 3`` of a dotted field, or of the nearest one above it that is there."""
        return _at(*self._nearest(loc))

    def line(self, loc: str) -> int:
        return self._nearest(loc)[0]

    def _nearest(self, loc: str) -> tuple[int, int]:
        parts = tuple(loc.split(".")) if loc else ()
        while parts not in self.places:
            parts = parts[:-1]
        return self.places[parts]

    def located(self, error: ConfigError) -> ConfigError:
        """The error, with the place in the text that it is about."""
        faults = getattr(error, "errors", None)
        told = [{**fault, "msg": f"{fault['msg']} ({self.name}, {self.place(fault['loc'])})"} for fault in faults or ()]
        if isinstance(error, InvalidConfig):
            return InvalidConfig(told)
        if faults is not None:
            vars(error)["errors"] = told
        error.message = f"{error.message} ({self.name}, {self.place(error.field or '')})"
        error.args = (error.message,)
        return error


def read_documents(data: bytes, name: str, environment: Mapping[str, str] | None) -> list[FeedDocument]:
    """Each document of the text; an empty one counts for nothing. ``environment`` has the values of variables, ``None``
    where they may not be used. Raises ConfigError with line and column; no secret stands in it.
    """
    text = _text(data, name)
    loader = None
    try:
        loader = _Loader(text)
        nodes = [node for node in _nodes(loader) if not _is_empty(node)]
        if not nodes:
            raise ConfigError("empty_feed", f"{name} is empty.", "See docs/configuration.md for what belongs into it.")
        documents = []
        for number, node in enumerate(nodes, start=1):
            called = f"{name}, document {number}" if len(nodes) > 1 else name
            documents.append(_document(called, node, loader))
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
    except RecursionError:
        raise ConfigError("invalid_yaml", f"{name} is nested too deeply.", "Correct the YAML.") from None
    except ValueError as error:
        raise ConfigError("invalid_yaml", f"{name} cannot be read: {error}.", "Correct the YAML.") from None
    finally:
        if loader is not None:
            loader.dispose()
    for document in documents:
        _put_in_variables(document, environment)
    return documents


def with_settings(
    document: FeedDocument, settings: Sequence[str], environment: Mapping[str, str] | None
) -> FeedDocument:
    """The document with ``field=value`` texts laid over it, values as YAML writes them. Raises ConfigError."""
    said = FeedDocument("the command line", {}, {(): (1, 1)})
    for text in settings:
        field_, equals, value = text.partition("=")
        parts = field_.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError("bad_setting", f"{text!r} is no FIELD=VALUE.", "Write it like limits.files_per_batch=50.")
        read = read_documents(f"value: {value}".encode(), f"the value of {field_}", {})
        if len(read) != 1 or set(read[0].body) != {"value"}:
            raise ConfigError("bad_setting", f"The value of {field_} is not one value.", "Quote it.", field=field_)
        at: dict[str, Any] = said.body
        for part in parts[:-1]:
            inner = at.get(part)
            at[part] = dict(inner) if isinstance(inner, dict) else {}
            at = at[part]
        at[parts[-1]] = read[0].body["value"]
    _put_in_variables(said, environment)
    return FeedDocument(document.name, merged(document.body, said.body, free=()), document.places)


def _nodes(loader: _Loader) -> Iterator[Node]:
    while loader.check_node():
        if (node := loader.get_node()) is not None:
            yield node


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.style is None and node.value == ""


def _document(name: str, node: Node, loader: _Loader) -> FeedDocument:
    if not isinstance(node, MappingNode):
        raise _fault(name, node, "a mapping of fields is expected here")
    walk = _Walk(name)
    walk.note(node, ())
    return FeedDocument(name, loader.construct_document(node), walk.places)


def _text(data: bytes, name: str) -> str:
    if len(data) > LONGEST_BYTES:
        raise FeedTooLarge("feed_too_large", f"{name} is larger than {LONGEST_BYTES} bytes.", "Is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("invalid_yaml", f"{name}, line {line}: not UTF-8.", "Save the file as UTF-8.") from None


def _at(line: int, column: int) -> str:
    return f"line {line}, column {column}"


def _fault(name: str, node: Node, problem: str) -> ConfigError:
    where = _at(node.start_mark.line + 1, node.start_mark.column + 1)
    return ConfigError("invalid_yaml", f"{name}, {where}: {problem}.", "Correct the YAML; nothing was changed.")


class _Walk:
    """Notes where each field stands (a mapping's field at its key) and refuses what a dictionary would swallow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Path_, tuple[int, int]] = {}
        self._open: set[int] = set()
        self._seen = 0

    def note(self, node: Node, at: Path_) -> None:
        self._seen += 1
        if self._seen > MOST_VALUES:  # aliases of aliases: few bytes can stand for any number of values
            raise _fault(self.name, node, f"the document holds more than {MOST_VALUES:,} values")
        self.places.setdefault(at, (node.start_mark.line + 1, node.start_mark.column + 1))
        if node.tag not in _TAGS:
            raise _fault(self.name, node, f"the tag {node.tag} means nothing here")
        if isinstance(node, ScalarNode):
            if node.tag == f"{_CORE}str" and not _storable(node.value):
                raise _fault(self.name, node, "the text holds a NUL or half of a surrogate pair")
            if node.tag == f"{_CORE}float" and not _finite(node.value):
                raise _fault(self.name, node, "the number is too large, or none")
            return
        if id(node) in self._open:
            raise _fault(self.name, node, "an alias refers to what it is part of")
        self._open.add(id(node))
        if isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self.note(item, (*at, str(index)))
        elif isinstance(node, MappingNode):
            self._fields(node, at)
        self._open.discard(id(node))

    def _fields(self, node: MappingNode, at: Path_) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _fault(self.name, key, "a field's name has to be a text")
            if key.value in seen:
                raise _fault(self.name, key, f"the field {key.value!r} stands here a second time")
            seen.add(key.value)
            self.places[(*at, key.value)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            self.note(value, (*at, key.value))


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _put_in_variables(feed: FeedDocument, environment: Mapping[str, str] | None) -> None:
    held: Any = feed.body
    for part in _CREDENTIALS:
        held = held.get(part) if isinstance(held, dict) else None
    if not isinstance(held, dict):
        return
    for key, value in held.items():
        if not isinstance(value, str):
            continue
        for variable in _VARIABLE.findall(value):
            if environment is None or not environment.get(variable):
                raise feed.located(_no_variable(variable, ".".join((*_CREDENTIALS, str(key))), environment is None))
        if environment is not None:
            held[key] = _VARIABLE.sub(lambda found: environment[found[1]], value)


def _no_variable(variable: str, field_: str, never: bool) -> ConfigError:
    if never:
        return ConfigError(
            "variables_not_possible",
            f"The variable {variable} cannot be put in here: nobody's environment is read for a request.",
            "Write the secret itself, or import the file with manage.py where the variable is set.",
            field=field_,
        )
    return ConfigError(
        "unknown_variable",
        f"The environment variable {variable} is not set.",
        f"Set it where this command runs: export {variable}=….",
        field=field_,
    )


# ---- writing


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a reader of YAML 1.1 or 1.2 would take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        """What stands in two places is written twice: people edit it."""
        return True


# Rules of 1.2 come first; those of 1.1 stay behind them.
_Dumper.yaml_implicit_resolvers = {
    first: [*_Loader.yaml_implicit_resolvers.get(first, []), *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
    for first in {*_Loader.yaml_implicit_resolvers, *yaml.SafeDumper.yaml_implicit_resolvers}
}


def _text_node(dumper: _Dumper, text: str) -> ScalarNode:
    """In double quotes, with escapes, wherever a reader might fold or drop a character."""
    return dumper.represent_scalar(f"{_CORE}str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text_node)


def write_document(body: Mapping[str, Any], comment: str = "") -> str:
    """One document that :func:`read_documents` reads back as it is."""
    text = yaml.dump(
        dict(body), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    )
    return "---\n" + "".join(f"# {line}\n" for line in comment.splitlines()) + text
