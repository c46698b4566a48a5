"""``feed.yaml``: configurations in a file or on standard input. :mod:`ingestions.services.feed_text` reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from autoloader.lib.errors import ConfigError
from ingestions.services.feed_text import LONGEST_BYTES, FeedDocument, read_documents


def read_feeds(path: str, environment: Mapping[str, str] = os.environ) -> list[FeedDocument]:
    """Each document of the file, ``-`` for standard input. Raises ConfigError with line and column."""
    return read_documents(*read_bytes(path), environment)


def read_feed(path: str, environment: Mapping[str, str] = os.environ) -> FeedDocument:
    """The one document of the file."""
    feeds = read_feeds(path, environment)
    if len(feeds) > 1:
        raise ConfigError(
            "several_documents",
            f"{called(path)} holds {len(feeds)} documents, and one is expected.",
            "Read them with `manage.py ingestion import`.",
        )
    return feeds[0]


def called(path: str) -> str:
    return "standard input" if path == "-" else path


def read_bytes(path: str) -> tuple[bytes, str]:
    """(what is in it, one byte more than is allowed at most; what to call it)."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(LONGEST_BYTES + 1), called(path)
        with Path(path).open("rb") as file:
            return file.read(LONGEST_BYTES + 1), called(path)
    except OSError as error:
        raise ConfigError(
            "feed_not_read",
            f"{called(path)} cannot be read: {error.strerror}.",
            "Give the path of a YAML file, or - for stdin.",
        ) from None
