"""Asking a cluster or a store from a page: few at once, none longer than a person waits, errors shown in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import AutoloaderError

#: a cluster that slept takes a while for its first answer, and the page says meanwhile what it waits for.
CLUSTER = Bounded(what="the cluster", deadline_seconds=55)
STORE = Bounded(what="the store")


def asked(work: Callable[[], Any], bounded: Bounded | None = None) -> dict[str, Any]:
    """Context for a template: ``seen``, what came of it, or ``error``. Without ``bounded`` the work limits itself."""
    try:
        return {"seen": bounded.call(work) if bounded else work()}
    except AutoloaderError as error:
        return {"error": error}
