"""What the first bytes of a file tell: enough to read it right, and to know which files can be read together."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autoloader.lib.errors import FileError

#: more columns than any table that people use; a plan over hundreds of thousands would keep a cluster busy for hours.
MAX_COLUMNS = 5_000


@dataclass(frozen=True, slots=True)
class ShapeColumn:
    """A column as the file has it. ``type`` is Spark DDL text (Parquet, ORC, Avro), ``None`` where it is text."""

    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Files of equal shape are read by one reader.

    csv: ``columns`` are the header's names by position. parquet, orc, avro: the top-level columns with types. json,
    xml: ``columns`` is empty, a record says its own names. text, binary: the one or two that such files have.
    ``options`` are the resolved reader options (csv: delimiter, quote, escape, encoding, header, line_end, multiline,
    skip_lines, comment; json: encoding, multiline, records_path; xml: encoding, row_tag, mixed, hidden; text:
    encoding, multiline; avro: schema, a digest). ``read_as`` is the end of a name by which Spark has to see a file
    whose own name says another compression; ``codec``: zstd.
    """

    format: str
    columns: tuple[ShapeColumn, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    #: the first record of a file of this shape, where it was read just now; a help for speed, no part of the shape.
    sample: str = field(default="", compare=False, repr=False)

    @property
    def key(self) -> str:
        """16 hex digits, equal for equal shapes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def option(self, name: str, default: str = "") -> str:
        return dict(self.options).get(name, default)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "columns": [[column.name, column.type] for column in self.columns],
            "options": [list(pair) for pair in self.options],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Shape:
        return cls(
            value["format"],
            tuple(ShapeColumn(name, type_) for name, type_ in value["columns"]),
            tuple((str(key), str(text)) for key, text in value["options"]),
        )


def check_count(address: str, columns: int) -> None:
    """Raises FileError where a file has more columns than can be loaded."""
    if columns > MAX_COLUMNS:
        raise FileError(
            "too_many_columns",
            f"{address} has {columns:,} columns; at most {MAX_COLUMNS:,} can be loaded.",
            "Check the delimiter, or write the data with fewer columns, such as a column for the name and one for the "
            "value.",
            path=address,
        )


def check_twins(address: str, names: Sequence[str]) -> None:
    """Raises FileError where names differ in case only: Spark cannot tell such columns apart."""
    twice = sorted(name for name, times in Counter(name.lower() for name in names).items() if times > 1)
    if twice:
        raise FileError(
            "ambiguous_columns",
            f"{address} has columns whose names differ in upper and lower case only: {', '.join(twice)}.",
            "Rename one of them where the file is written.",
            path=address,
        )


def quoted(name: str) -> str:
    """A field's name as Spark's DDL needs it: bare where that is safe, else in backticks."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else "`" + name.replace("`", "``") + "`"
