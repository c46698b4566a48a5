"""The formats that can be loaded now, and what their options may say."""

from __future__ import annotations

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.formats import options
from ingestions.engine.formats.options import delimiter

__all__ = ["AVAILABLE", "delimiter", "validate"]

AVAILABLE = ("csv", "json", "parquet", "avro", "orc", "xml", "text", "binary", "auto")


def validate(format_: config.Format) -> None:
    """Raises ConfigError for a format or an option that cannot be loaded; reads no file."""
    options.check(format_)
    if format_.overwritten == "replace":
        raise ConfigError(
            "overwritten_not_available",
            "Replacing the rows of an overwritten file is not available yet.",
            "Use ignore (later versions are skipped) or append (their rows are added).",
            field="format.overwritten",
        )
