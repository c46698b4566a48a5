"""Sources that stay open between looks: making a client costs more than a look."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from typing import Any

from ingestions.engine.config import IngestionConfig
from ingestions.engine.sources.base import Source
from ingestions.models import Ingestion
from ingestions.services.source import source_of

MOST = 256


class OpenSources:
    """By ingestion, as it was configured and with the credential it had; those used longest ago are closed. Safe with
    threads. No two threads use one source, as an ingestion is looked at by one at a time."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[uuid.UUID, tuple[Any, Source]] = OrderedDict()

    def of(self, row: Ingestion, config: IngestionConfig) -> Source:
        """Errors are those of opening a source."""
        stamp = (row.config_version, row.credential_id, row.credential.updated_at if row.credential else None)
        with self._lock:
            held = self._open.pop(row.pk, None)
            if held is not None and held[0] == stamp:
                self._open[row.pk] = held
                return held[1]
        if held is not None:
            held[1].close()
        source = source_of(row, config)
        with self._lock:
            self._open[row.pk] = (stamp, source)
            old = [self._open.popitem(last=False)[1][1] for _ in range(len(self._open) - self._most)]
        for each in old:
            each.close()
        return source

    def drop(self, row: Ingestion) -> None:
        with self._lock:
            held = self._open.pop(row.pk, None)
        if held is not None:
            held[1].close()

    def close(self) -> None:
        with self._lock:
            held = list(self._open.values())
            self._open.clear()
        for _, source in held:
            source.close()
