"""Rows counted where they lie."""

from __future__ import annotations

from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.base import BATCH_ID, RESCUED_DATA, SOURCE_FILE, FileCount
from ingestions.engine.loader.convert import Expression
from ingestions.engine.loader.rows import CORRUPT_RECORD, UNCERTAIN

#: a malformed row that is the mark of a merge conflict.
_CONFLICT = f'"{CORRUPT_RECORD}":"(?:<{{7}}|>{{7}})(?: [^"]*)?"'


def by_file(rows: Any) -> dict[str, FileCount]:
    """Rows, and rows with rescued values, per ``_source_file``."""
    counted = rows.groupBy(SOURCE_FILE).agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(F.col(RESCUED_DATA)).alias("rescued"),
        F.count_if(malformed()).alias("malformed"),
        F.count_if(F.col(RESCUED_DATA).rlike(_CONFLICT)).alias("conflicts"),
        F.count_if(F.col(RESCUED_DATA) == UNCERTAIN).alias("uncertain"),
    )
    return {
        row[SOURCE_FILE]: FileCount(
            row["rows"], row["rescued"], row["malformed"], bool(row["conflicts"]), row["uncertain"]
        )
        for row in counted.collect()
    }


def malformed() -> Expression:
    """Whether a row of the table stands as a whole in ``_rescued_data``. A quote inside of a value is escaped there, so
    nothing but the key itself reads like it."""
    return F.contains(F.col(RESCUED_DATA), F.lit(f'"{CORRUPT_RECORD}":'))


def by_batch_and_file(rows: Any) -> dict[tuple[str, str], int]:
    """Rows per (``_batch_id``, ``_source_file``), ``""`` for rows that have none."""
    counted = rows.groupBy(BATCH_ID, SOURCE_FILE).agg(F.count(F.lit(1)).alias("rows")).collect()
    return {(row[BATCH_ID] or "", row[SOURCE_FILE] or ""): row["rows"] for row in counted}
