"""What a run works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestions.engine.config import IngestionConfig
from ingestions.engine.discovery import AUDIT
from ingestions.engine.ledger import AttemptState, Store
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.sources.base import Source


@dataclass(frozen=True)
class Context:
    """What a run works with. ``open_loader`` leases a session and the table's turn for as long as it is open."""

    config: IngestionConfig
    source: Source
    store: Store
    open_loader: Callable[[], AbstractContextManager[TableLoader]]
    #: frees whatever a dead attempt still does on the cluster.
    interrupt: Callable[[AttemptState], None]
    now: Callable[[], datetime]
    should_stop: Callable[[], bool] = lambda: False
    #: whether other runs wait for a worker; then this one goes behind them after each batch.
    others_wait: Callable[[], bool] = lambda: False
    #: files modified before it are not wanted (``schedule.start``).
    start: datetime | None = None
    #: whether later listings may begin where this one ended; not of one that shows a part of the source only.
    remembers: bool = True
    #: how often all of the source is listed although its names grow.
    audit: timedelta = AUDIT
    monotonic: Callable[[], float] = time.monotonic
