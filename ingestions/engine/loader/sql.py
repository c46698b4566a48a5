"""Text of SQL that holds names and values of other people."""

from __future__ import annotations


def identifier(*parts: str) -> str:
    """``a.b`` with each part in backticks, whatever it contains."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def literal(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
