"""The name of the table that holds a destination's malformed rows."""

from __future__ import annotations

SUFFIX = "__quarantine"


def quarantine_name(table: str) -> str:
    return f"{table}{SUFFIX}"
