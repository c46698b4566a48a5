from __future__ import annotations

from tests.cast import (
    anonymous,
    as_admin,
    as_owner,
    as_reader,
    as_runner,
    as_stranger,
    as_superuser,
    cluster,
    ingestion,
    owner,
    queries_of,
    run,
    stranger,
    superuser,
)

__all__ = [
    "anonymous",
    "as_admin",
    "as_owner",
    "as_reader",
    "as_runner",
    "as_stranger",
    "as_superuser",
    "cluster",
    "ingestion",
    "owner",
    "queries_of",
    "run",
    "stranger",
    "superuser",
]
