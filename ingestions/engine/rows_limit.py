"""How many rows of a file may be malformed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import Format

_PERCENT = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*")
_ROWS = re.compile(r"\s*([0-9]{1,18})\s*")


@dataclass(frozen=True, slots=True)
class RowsLimit:
    """At most ``rows``, or at most this ``share`` of the rows read; neither: any number."""

    rows: int | None = None
    share: Fraction | None = None

    @classmethod
    def of(cls, format_: Format) -> RowsLimit:
        """The limit of a configuration; none is allowed where ``bad_rows`` is ``fail`` and says no limit."""
        if format_.bad_rows_limit is None:
            return cls(rows=0) if format_.bad_rows == "fail" else cls()
        return cls.parse(format_.bad_rows_limit)

    @classmethod
    def parse(cls, value: str | int) -> RowsLimit:
        """``10``, ``"10"`` or ``"2.5%"``. Raises ConfigError."""
        if isinstance(value, int):
            if 0 <= value < 10**18:
                return cls(rows=value)
        elif rows := _ROWS.fullmatch(value):
            return cls(rows=int(rows[1]))
        elif (percent := _PERCENT.fullmatch(value)) and Fraction(percent[1]) <= 100:
            return cls(share=Fraction(percent[1]) / 100)
        raise ConfigError(
            "bad_rows_limit",
            f"{value!r} is no limit of malformed rows.",
            "Write a number of rows, such as 10, or a share, such as “2.5%”.",
            field="format.bad_rows_limit",
        )

    def exceeded(self, malformed: int, rows: int) -> bool:
        if self.rows is not None:
            return malformed > self.rows
        return self.share is not None and malformed > self.share * rows

    def __str__(self) -> str:
        if self.share is not None:
            return f"{float(self.share * 100):g} % of them"
        return f"{self.rows or 0:,}"
