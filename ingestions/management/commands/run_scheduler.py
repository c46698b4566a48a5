"""The small loop that finds what is due. Any number of them may run: each claim is a conditional update."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection
from django.utils import timezone

from autoloader.lib.database import DatabaseFault
from ingestions.services.deliverer import delivering
from ingestions.services.scheduler import Scheduler

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Finds runs that are due or were left behind and puts them into the queue, and delivers alerts, until stopped."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--tick", type=float, default=1.0, help="seconds between two looks (default 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        scheduler = Scheduler()
        with delivering():
            self._look(scheduler, stop, options["tick"])

    def _look(self, scheduler: Scheduler, stop: threading.Event, tick: float) -> None:
        while not stop.is_set():
            try:
                scheduler.tick(timezone.now)
            except DatabaseFault as error:
                logger.warning("the database is away", extra={"reason": str(error)})
                connection.close()
            stop.wait(tick)
