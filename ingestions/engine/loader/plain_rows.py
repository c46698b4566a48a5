"""Files as they are: the texts that formats of text are made of, and the format that is nothing but text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Expression
from ingestions.engine.loader.matching import match
from ingestions.engine.loader.rows import Filled, RawFrame, is_given, leftover

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers


def texts(readers: Readers, shape: Shape, addresses: Sequence[str], *, whole: bool) -> Any:
    """Columns ``value``, ``source_file``, ``modified_at``: of each file its whole text, else its lines, without their
    ends. The mark of the byte order may still be there."""
    encoding = shape.option("encoding", "UTF-8").upper()
    wide = encoding.startswith(("UTF-16", "UTF-32"))  # their line ends are no single bytes
    df = readers.load_shape("text", shape, addresses, wholetext=whole or wide)
    value = F.col("value")
    if encoding not in ("UTF-8", "UTF8", "US-ASCII", "ASCII"):
        value = F.decode(value.cast("binary"), encoding)  # Spark's text is the file's bytes, whatever they are
    if wide and not whole:
        value = F.explode(_lines(value))
    return df.select(value.alias("value"), *readers.file_columns(shape, addresses))


def _lines(text: Expression) -> Expression:
    """What follows the last line's end is a line only where there is something."""
    return F.split(F.regexp_replace(text, r"(?:\r\n|\n|\r)\z", ""), "\r\n|\n|\r")


def frame(readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column]) -> RawFrame:
    """A row a line, or a row a file, in the column ``value``."""
    found = match(["value"], columns, readers.rules)
    kept = readers.rules.target("value") is not None
    df = texts(readers, shape, addresses, whole=shape.option("multiline") == "true")
    mark = F.lit("\ufeff")
    text = F.col("value")
    text = F.when(F.startswith(text, mark), F.substring(text, 2, 2**31 - 1)).otherwise(text)
    df = df.select(text.alias("c0"), "source_file", "modified_at").select(
        "source_file",
        "modified_at",
        F.lit(None).cast("string").alias("corrupt"),
        (is_given(F.col("c0"), None) & F.lit(kept)).cast("int").alias("given"),
        leftover([("value", F.col("c0"))] if kept and not found else []).alias("extra"),
        "c0",
    )
    return RawFrame(df, tuple(Filled(column, "c0") for column in found.values()))
