"""A run that somebody asks to stop ends within seconds, whatever it is waiting for; and a worker whose time to finish
is over hands its run over in the same way.

A thread looks whether either is so. Then it interrupts what the leased session does, again and again, except in steps
that must be whole: what is being published is published. Where that does not help (a cluster that is asleep, a store
that hangs), it ends the run itself, or gives it back and ends the worker's process: its worker holds the run no longer
and can write nothing more, and whoever comes next looks how far its batch came.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from types import TracebackType
from typing import Any, cast

from django.db import connection

from autoloader.lib.database import DatabaseFault
from autoloader.lib.errors import LeaseLost, RunStopped
from ingestions.engine.loader.base import TableLoader
from ingestions.models import Run
from ingestions.services.runs import run_end_cancelled, run_hand_over
from ingestions.worker import leave, stop_overdue

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
#: between two interruptions: a step may begin its next statement before it hears of the first.
AGAIN_SECONDS = 0.25
#: a step that has not ended this long after the run was seen to be cancelled is left behind.
GIVE_UP_SECONDS = 3.0
#: a worker that hands over waits no longer than this for a step that is to be done whole: whoever goes on finds out.
WHOLE_SECONDS = 10.0
#: steps of a loader that are done whole or not begun; everything else it does may be interrupted.
WHOLE = frozenset({"publish", "create", "add_columns", "alter", "drop_table"})
#: what cleans up after an interruption is not interrupted itself.
LEFT_ALONE = frozenset({"drop_branch", "headers", "follow"})


class CancelWatch:
    """Watches over one slice of a run that this worker holds."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self._armed = self._sent = self._whole = self._asked = self._left = False
        self._overdue = False
        self._whole_ended = 0.0
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._watch,), name=f"cancel-{run.pk}", daemon=True
        )

    def __enter__(self) -> CancelWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=GIVE_UP_SECONDS)

    @contextmanager
    def over(self, loader: TableLoader, interrupt: Callable[[], object]) -> Iterator[TableLoader]:
        """The loader with its slow steps under watch; ``interrupt`` ends whatever its session does."""
        self._interrupt = interrupt
        try:
            yield cast(TableLoader, _Watched(loader, self))
        finally:
            with self._lock:
                self._interrupt = None

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """:class:`RunStopped` where the step was interrupted, or the run was asked to stop before it began."""
        with self._lock:
            if self._asked:
                raise RunStopped
            self._armed, self._sent = True, False
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:
            if self._sent:  # what an interrupted statement says has many forms
                raise RunStopped from error
            raise
        finally:
            with self._lock:  # an interruption under way lands before the next step begins
                self._armed = False

    @contextmanager
    def whole(self) -> Iterator[None]:
        with self._lock:
            if self._left:
                raise LeaseLost("lease_lost", f"The run {self._run.pk} was cancelled and left.")
            self._whole = True
        try:
            yield
        finally:
            with self._lock:
                self._whole, self._whole_ended = False, time.monotonic()

    # ---- the thread

    def _watch(self) -> None:
        try:
            while not self._stop.wait(POLL_SECONDS):
                self._overdue = stop_overdue()
                if self._overdue or self._is_asked():
                    self._end_it()
                    return
        finally:
            connection.close()

    def _is_asked(self) -> bool:
        try:
            return Run.objects.filter(pk=self._run.pk).exclude(cancel_requested_at=None).exists()
        except DatabaseFault as error:
            logger.warning("not seen whether to stop", extra={"reason": str(error)})
            connection.close()
            return False

    def _end_it(self) -> None:
        logger.info("time to finish is over" if self._overdue else "asked to stop")
        seen = time.monotonic()
        while True:
            with self._lock:
                self._asked = True
                if self._is_enough(seen):
                    self._leave()
                    return
                if self._armed and self._interrupt is not None:
                    self._send(self._interrupt)
            if self._stop.wait(AGAIN_SECONDS):
                return

    def _is_enough(self, seen: float) -> bool:
        if self._whole:
            return self._overdue and time.monotonic() - seen >= WHOLE_SECONDS
        return time.monotonic() - max(seen, self._whole_ended) >= GIVE_UP_SECONDS

    def _send(self, interrupt: Callable[[], object]) -> None:
        self._sent = True
        try:
            interrupt()
        except Exception as error:  # whatever it is, the step is left behind in the end
            logger.info("not interrupted", extra={"reason": type(error).__name__})

    def _leave(self) -> None:
        self._left = True
        token = self._run.lease_token
        try:
            if self._overdue and run_hand_over(run=self._run, token=token):
                logger.warning("handed over while a step hangs; whoever goes on settles its batch")
            elif run_end_cancelled(run=self._run, token=token):
                logger.warning("cancelled while a step hangs; the next run settles its batch")
        except DatabaseFault as error:
            logger.warning("not ended", extra={"reason": str(error)})
        finally:
            if self._overdue:
                leave()


class _Watched:
    """A loader; each of its steps is interruptible, whole, or left alone."""

    def __init__(self, loader: TableLoader, watch: CancelWatch) -> None:
        self._loader = loader
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._loader, name)
        if not callable(found) or name in LEFT_ALONE:
            return found
        around = self._watch.whole if name in WHOLE else self._watch.interruptible

        @wraps(found)
        def step(*args: Any, **kwargs: Any) -> Any:
            with around():
                return found(*args, **kwargs)

        return step
