"""What a scheduler does, step by step, for as long as it runs. Any number of them may run at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from autoloader.lib.database import AWAY
from ingestions.services.firing import fire_due, mend_plans, start_behind
from ingestions.services.heartbeat import beat, forget_dead
from ingestions.services.polling import Poller
from ingestions.services.retries import retry_due
from ingestions.services.sweeper import sweep

logger = logging.getLogger(__name__)

BEAT_SECONDS = 10.0


@dataclass(frozen=True)
class Step:
    """``work`` is called with the present instant, at most every ``seconds``. It must be harmless to do it twice, and
    at the same time in another process; what takes long belongs into a thread of its own."""

    name: str
    work: Callable[[datetime], object]
    seconds: float = 0.0


def _beat(now: datetime) -> None:
    beat(kind="scheduler")
    forget_dead()


def steps() -> tuple[Step, ...]:
    return (
        Step("heartbeat", _beat, BEAT_SECONDS),
        Step("plans", mend_plans, BEAT_SECONDS),
        Step("schedules", fire_due),
        Step("fires that waited", start_behind),
        Step("looks at sources", Poller().look),
        Step("retries", retry_due),
        Step("runs left behind", lambda now: sweep(now=now)),
    )


class Scheduler:
    def __init__(self, given: Sequence[Step] = (), monotonic: Callable[[], float] = time.monotonic) -> None:
        self._steps = given or steps()
        self._monotonic = monotonic
        self._done: dict[str, float] = {}

    def tick(self, now: Callable[[], datetime]) -> None:
        """Every step that is due. A fault in one holds up no other; one of ``AWAY`` where the database is away."""
        for step in self._steps:
            moment = self._monotonic()
            if moment - self._done.get(step.name, float("-inf")) < step.seconds:
                continue
            try:
                step.work(now())
            except AWAY:
                raise
            except Exception:
                logger.exception("a step of the scheduler failed", extra={"step": step.name})
            self._done[step.name] = moment
