"""The formats that can be loaded now, and what their options may say."""

from __future__ import annotations

from ingestions.engine import config
from ingestions.engine.formats import options
from ingestions.engine.formats.options import delimiter

__all__ = ["AVAILABLE", "delimiter", "validate"]

AVAILABLE = ("csv", "json", "parquet", "avro", "orc", "xml", "text", "binary", "auto")


def validate(format_: config.Format) -> None:
    """Raises ConfigError for a format or an option that cannot be loaded; reads no file."""
    options.check(format_)
