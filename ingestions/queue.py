"""The queue in the database, for processes that outlive the database being away.

django-q2's own broker lets the process that takes tasks, and the one that strikes them off, die of it; they are made
anew each time, and write a stack trace each time.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import connection
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from autoloader.lib.database import AWAY, database_away

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class PatientBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    def dequeue(self) -> Any:
        """``None`` where nothing waits, or where the database is away."""
        try:
            return super().dequeue()
        except AWAY as error:
            self._away(error)
            time.sleep(AGAIN_SECONDS)
            return None

    def delete(self, task_id: Any) -> None:
        """A task that is not struck off comes again after its time, and does nothing."""
        try:
            super().delete(task_id)
        except AWAY as error:
            self._away(error)

    def _away(self, error: Exception) -> None:
        logger.warning("the queue is away", extra={"reason": database_away(error).message})
        connection.close()


class Gathering(ORM):  # type: ignore[misc]  # django-q2 has no types
    """Takes many tasks and puts them into the queue together."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: list[str] = []

    def enqueue(self, task: str) -> int:
        self._packed.append(task)
        return 0

    def put(self) -> None:
        key, now = self.list_key or Conf.CLUSTER_NAME, timezone.now()
        OrmQ.objects.bulk_create(OrmQ(key=key, payload=packed, lock=now) for packed in self._packed)
        self._packed = []
