"""The configuration of a small feed, for tests that need some."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "name": "feed",
    "cluster_id": "c",
    "source": {"type": "local", "path": "/feed"},
    "format": {"type": "csv", "overwritten": "append"},
    "destination": {"catalog": "c", "database": "d", "table": "t"},
    "limits": {"files_per_batch": 2},
}
