"""Telling people: what to say (:mod:`.message`), and sending it (:mod:`.mail`, :mod:`.webhook`)."""

from __future__ import annotations

from autoloader.lib.errors import AutoloaderError


class NotDelivered(AutoloaderError):
    """This try failed; ``message`` says why, for people, and holds nothing that the other side answered beyond its
    status."""

    status = 502
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__("not_delivered", reason)
