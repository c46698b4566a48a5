"""Numbers with their nouns."""

from __future__ import annotations


def plural(count: int, word: str) -> str:
    """``1 file``, ``2 files``, ``1,000 batches``."""
    ending = "" if count == 1 else "es" if word.endswith(("ch", "s")) else "s"
    return f"{count:,} {word}{ending}"
