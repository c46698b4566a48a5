"""django-q2's cluster with a graceful stop: workers hand over at the next whole batch."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django_q.cluster import Cluster

from ingestions.worker import FLAG_VARIABLE, die_with_parent


class StoppableCluster(Cluster):  # type: ignore[misc]  # django-q2 has no types
    def stop(self) -> bool:
        Path(os.environ[FLAG_VARIABLE]).touch()
        return bool(super().stop())


class Command(BaseCommand):
    help = "Works on queued runs until it is stopped; a stop waits for the batch in hand."

    def handle(self, *args: Any, **options: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="autoloader-worker-") as folder:
            os.environ[FLAG_VARIABLE] = str(Path(folder) / "stop")
            os.register_at_fork(after_in_child=die_with_parent)
            StoppableCluster().start()
            for child in multiprocessing.active_children():  # the sentinel: start() returns once it runs
                child.join()
