"""A process's hands for the outbox: few threads, so that a server that hangs keeps nobody else waiting."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.utils import timezone

from autoloader.lib.database import DatabaseFault
from ingestions.models import AlertDelivery
from ingestions.services.alert_delivery import claim, deliver, forget
from ingestions.services.alerts import remind

logger = logging.getLogger(__name__)

THREADS = 8
#: of these at most so many wait for one server (a webhook's host, the mail server); one recipient gets one at a time.
PER_SERVER = 2
TICK_SECONDS = 1.0
REMIND_SECONDS = 15.0
FORGET_SECONDS = 3600.0
#: a process that ends waits so long for what it has in hand; what is not done then is delivered again by another.
END_SECONDS = 3.0


class Deliverer:
    """:meth:`step` starts what is due and comes back at once; :meth:`wait` waits until nothing is in hand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_hand: dict[int, AlertDelivery] = {}
        self._free = threading.Condition(self._lock)

    def step(self) -> int:
        """How many deliveries were begun."""
        begun = 0
        while (found := self._next()) is not None:
            held = claim(found)
            if held is None:
                continue
            begun += 1
            with self._lock:
                self._in_hand[held.pk] = held
            threading.Thread(target=self._work, args=(held,), name=f"alert-{held.pk}", daemon=True).start()
        return begun

    def wait(self, seconds: float) -> bool:
        """Whether nothing is in hand any more."""
        with self._free:
            return self._free.wait_for(lambda: not self._in_hand, seconds)

    def _next(self) -> AlertDelivery | None:
        """The oldest one that there is room for."""
        with self._lock:
            held = list(self._in_hand.values())
        if len(held) >= THREADS:
            return None
        busy = [server for server, count in Counter(each.server for each in held).items() if count >= PER_SERVER]
        due = AlertDelivery.objects.due(timezone.now()).exclude(server__in=busy)
        return due.exclude(recipient__in=[each.recipient for each in held]).order_by("pk").first()

    def _work(self, delivery: AlertDelivery) -> None:
        try:
            deliver(delivery)
        except DatabaseFault as error:
            logger.warning("not noted what came of an alert", extra={"reason": str(error)})
        except Exception:
            logger.exception("an alert failed by a fault of our own")
        finally:
            connection.close()
            with self._free:
                del self._in_hand[delivery.pk]
                self._free.notify_all()


@contextmanager
def delivering() -> Iterator[None]:
    """The outbox is emptied, and reminders are written, while this lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=_go_on, args=(stop,), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_SECONDS + TICK_SECONDS)


def _go_on(stop: threading.Event) -> None:
    hands = Deliverer()
    reminded = forgotten = float("-inf")
    while not stop.is_set():
        try:
            now = time.monotonic()
            if now - reminded >= REMIND_SECONDS:
                reminded = now
                remind()
            if now - forgotten >= FORGET_SECONDS:
                forgotten = now
                forget()
            hands.step()
        except DatabaseFault as error:
            logger.warning("the database is away", extra={"reason": str(error)})
            connection.close()
        except Exception:
            logger.exception("the outbox was not looked at, by a fault of our own")
        stop.wait(TICK_SECONDS)
    hands.wait(END_SECONDS)
    connection.close()
