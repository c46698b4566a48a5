"""How a feed writes its numbers, dates and times, where that is not the ISO way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.config import FormatOptions

Expression = Any


@dataclass(frozen=True, slots=True)
class Forms:
    """``date`` and ``timestamp`` are Spark's patterns, ``None`` for the ISO forms. ``point`` begins the fraction of a
    number, ``group`` (or nothing) parts its thousands."""

    date: str | None = None
    timestamp: str | None = None
    point: str = "."
    group: str = ""

    @classmethod
    def of(cls, options: FormatOptions) -> Forms:
        return cls(
            options.date_format,
            options.timestamp_format,
            options.decimal_separator or ".",
            options.thousands_separator or "",
        )

    @property
    def zoned(self) -> bool:
        """Whether a time says its own zone."""
        return re.search(r"[VzOXxZ]", re.sub(r"'[^']*'", "", self.timestamp or "")) is not None

    def number(self, text: Expression) -> Expression:
        """The text of a number with a point and without groups; null where it is not written as numbers are here."""
        if self.point == "." and not self.group:
            return text
        point, group = re.escape(self.point), re.escape(self.group)
        whole = r"[0-9]+" if not group else rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)"
        form = rf"^[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"
        bare = F.replace(text, F.lit(self.group), F.lit("")) if self.group else text
        plain = bare if self.point == "." else F.replace(bare, F.lit(self.point), F.lit("."))
        odd = text.rlike("[Ii]nf|[Nn]a[Nn]")
        return F.when(text.rlike(form), plain).otherwise(F.when(odd, text))
