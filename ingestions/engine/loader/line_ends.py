"""CSV files whose lines end with LF, with CR LF, or with both: whoever appends to a file of another system mixes them.

A parser that looks for CR LF takes lines with a bare LF for one, and one that finds out from the first line leaves the
CR of the later ones in their last values. So lines are parted at LF, and a CR that is left there is taken away. Inside
of quotes all of them stay as they are.
"""

from __future__ import annotations

from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.convert import Expression

LINE_FEED = "\n"
_RETURN = "\r"


def without_blank_lines(df: Any, count: int) -> Any:
    """``df`` has ``c0`` … ``c<count - 1>`` and ``corrupt``, parted at LF. A line that holds nothing but a CR is no
    row."""
    blank = F.col("c0") == F.lit(_RETURN) if count == 1 else F.col("corrupt") == ""
    return df.where(~F.coalesce(blank, F.lit(False)))


def without_return(at: int, *, last: bool) -> Expression:
    """The text of column ``c<at>``. The CR stands behind the last value of a row; where a row is too short, that is
    another column's."""
    text = F.col(f"c{at}")
    stray = F.endswith(text, F.lit(_RETURN))
    if not last:
        stray = F.col("corrupt").isNotNull() & stray
    return F.when(stray, text.substr(F.lit(1), F.length(text) - F.lit(1))).otherwise(text)
