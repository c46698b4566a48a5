"""Rows counted where they lie."""

from __future__ import annotations

from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.base import BATCH_ID, RESCUED_DATA, SOURCE_FILE, FileCount


def by_file(rows: Any) -> dict[str, FileCount]:
    """Rows, and rows with rescued values, per ``_source_file``."""
    counted = rows.groupBy(SOURCE_FILE).agg(
        F.count(F.lit(1)).alias("rows"), F.count(F.col(RESCUED_DATA)).alias("rescued")
    )
    return {row[SOURCE_FILE]: FileCount(row["rows"], row["rescued"]) for row in counted.collect()}


def by_batch_and_file(rows: Any) -> dict[tuple[str, str], int]:
    """Rows per (``_batch_id``, ``_source_file``), ``""`` for rows that have none."""
    counted = rows.groupBy(BATCH_ID, SOURCE_FILE).agg(F.count(F.lit(1)).alias("rows")).collect()
    return {(row[BATCH_ID] or "", row[SOURCE_FILE] or ""): row["rows"] for row in counted}
