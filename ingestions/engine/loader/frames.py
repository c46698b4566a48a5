"""Frames of one kind put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any


def union(frames: Sequence[Any]) -> Any:
    """The rows of all of them, at least one, which have the same columns in the same order."""
    return reduce(lambda one, other: one.union(other), frames)
