"""django-q2's cluster with a graceful stop: workers hand over at the next whole batch, or when their time is over."""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django_q import cluster
from django_q.cluster import Cluster

from ingestions.task_pipe import HardyQueue, hardy_value, push
from ingestions.worker import FLAG_VARIABLE, STUCK_SECONDS, die_with_parent, request_stop

logger = logging.getLogger(__name__)


class StoppableCluster(Cluster):  # type: ignore[misc]  # django-q2 has no types
    def stop(self) -> bool:
        """Waits until all have handed over. Who is stuck beyond that ends with this process, as with a dead parent."""
        request_stop(settings.STOP_SECONDS)
        self.stop_event.set()
        self.sentinel.join(settings.STOP_SECONDS + STUCK_SECONDS)
        if self.sentinel.is_alive():
            logger.warning("workers did not end in time")
            os._exit(1)
        return True


class Command(BaseCommand):
    help = "Works on queued runs until it is stopped; a stop waits a while for the batch in hand."

    def handle(self, *args: Any, **options: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="autoloader-worker-") as folder:
            os.environ[FLAG_VARIABLE] = str(Path(folder) / "stop")
            os.register_at_fork(after_in_child=die_with_parent)
            cluster.Queue, cluster.Value, cluster.pusher = HardyQueue, hardy_value, push
            StoppableCluster().start()
            for child in multiprocessing.active_children():  # the sentinel: start() returns once it runs
                child.join()
