"""Lines of text files with their numbers, which Spark does not give: a file's lines are in order within each of its
pieces, and a piece is read by one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F
from pyspark.sql.connect.window import Window

from ingestions.engine.formats.shape import Shape

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers


def numbered(readers: Readers, shape: Shape, addresses: Sequence[str]) -> Any:
    """Columns ``source_file``, ``line`` (from 1) and ``value``, the line's bytes as Spark's text."""
    rows = readers.load_shape("text", shape, addresses).select(
        readers.address().alias("source_file"),
        F.col("_metadata.file_block_start").alias("start"),
        F.monotonically_increasing_id().alias("at"),
        "value",
    )
    order = Window.partitionBy("source_file").orderBy("start", "at")
    return rows.select("source_file", F.row_number().over(order).alias("line"), "value")
