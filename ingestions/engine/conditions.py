"""Conditions that people write over a feed's columns, such as ``op = 'D'``: parsed, checked and written anew, never
pasted. What is not on the list below (other tables, functions with an effect) cannot be said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from autoloader.lib.errors import ConfigError

_ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg,
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
    exp.In, exp.Is, exp.Between, exp.Like, exp.ILike,
    exp.Lower, exp.Upper, exp.Trim, exp.Coalesce, exp.Length, exp.Cast, exp.TryCast, exp.DataType,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """``columns`` are the names it speaks of, as they were written, in order of appearance."""

    text: str
    columns: tuple[str, ...]

    def sql(self, name: Callable[[str], str]) -> str:
        """As Spark SQL; ``name`` gives the quoted name for each of :attr:`columns`."""
        parsed = _parse(self.text, "")
        for column in list(parsed.find_all(exp.Column)):
            replacement = exp.Var(this=name(column.name))
            if column is parsed:
                return str(replacement.this)
            column.replace(replacement)
        return str(parsed.sql(dialect="spark", comments=False))


def parse(text: str, field: str) -> Condition:
    """Raises ConfigError for ``field`` where the text is no condition, or says what may not be said."""
    parsed = _parse(text, field)
    columns = dict.fromkeys(column.name for column in parsed.find_all(exp.Column))
    if not columns:
        raise _bad(text, "it names no column", field)
    return Condition(text, tuple(columns))


def _parse(text: str, field: str) -> Any:
    try:
        parsed = sqlglot.parse_one(text, dialect="spark", into=exp.Condition)
    except (SqlglotError, RecursionError):
        raise _bad(text, "it cannot be read as one", field) from None
    for node in parsed.walk():
        if not isinstance(node, _ALLOWED):
            raise _bad(text, f"{type(node).__name__.upper()} cannot be used in it", field)
        if isinstance(node, exp.Column) and node.table:
            raise _bad(text, f"“{node.sql(dialect='spark')}” is no column's name", field)
    return parsed


def _bad(text: str, why: str, field: str) -> ConfigError:
    return ConfigError(
        "bad_condition",
        f"“{text[:200]}” is not a condition: {why}.",
        "Compare columns with values, for example op = 'D' or deleted_at IS NOT NULL; a name with odd characters goes "
        "into backticks.",
        field=field,
    )
