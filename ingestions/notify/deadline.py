"""An end to talking to a server that says a byte now and then: a timeout of a socket counts from each one anew."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def cut_after(seconds: float, connection: Callable[[], socket.socket | None]) -> Iterator[threading.Event]:
    """Shuts the socket that ``connection()`` gives then, so that whoever waits at it gets an error. The event tells
    whether that was so."""
    cut = threading.Event()

    def shut() -> None:
        cut.set()
        with contextlib.suppress(OSError):
            if (found := connection()) is not None:
                found.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
