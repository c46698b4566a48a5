"""What the first bytes of a file tell: enough to read it right, and to know which files can be read together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from autoloader.lib.errors import FileError

#: more columns than any table that people use; a plan over hundreds of thousands would keep a cluster busy for hours.
MAX_COLUMNS = 5_000


@dataclass(frozen=True, slots=True)
class ShapeColumn:
    """A column as the file has it. ``type`` is Spark DDL text (Parquet), or ``None`` where the file holds text."""

    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Files of equal shape are read by one reader.

    csv: ``columns`` are the header's names by position. parquet: the footer's top-level columns with types.
    json: ``columns`` is empty, a line says its own names. ``options`` are the resolved reader options
    (csv: delimiter, quote, escape, encoding, header, line_end, multiline; json: encoding, multiline).
    """

    format: str
    columns: tuple[ShapeColumn, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

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
