"""One e-mail to one recipient, by the mail server of the settings; through nothing else, whatever runs it."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from ingestions.notify import NotDelivered
from ingestions.notify.deadline import cut_after

#: of each step, and of all of them.
STEP_SECONDS = 10.0
WHOLE_SECONDS = 30.0


def send(*, to: str, subject: str, text: str, key: str, incident: str, at: datetime, about: Mapping[str, str]) -> None:
    """Raises :class:`NotDelivered`. ``key`` makes the Message-ID, the same at each try; mails of one ``incident``
    belong together; ``at`` is the instant it happened, whenever it is sent."""
    if not settings.EMAIL_HOST:
        raise NotDelivered("No mail server is set up: the operator sets EMAIL_HOST.")
    try:
        backend = _Backend(timeout=STEP_SECONDS)
    except ValueError as error:  # TLS and SSL at once
        raise NotDelivered(f"The mail settings contradict each other: {error}"[:300]) from None
    domain = urlsplit(settings.BASE_URL).hostname or "localhost"
    thread = f"<{incident}@{domain}>"
    headers = {
        "Message-ID": f"<{key}@{domain}>",
        "Date": format_datetime(at),
        "References": thread,
        "In-Reply-To": thread,
        "Auto-Submitted": "auto-generated",
        **about,
    }
    message = EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to], connection=backend, headers=headers)

    with cut_after(WHOLE_SECONDS, backend.socket) as cut:
        try:
            message.send()
        except (smtplib.SMTPException, OSError) as error:
            reason = f"It did not end within {WHOLE_SECONDS:g} s." if cut.is_set() else _reason(error)
            raise NotDelivered(f"The mail server {settings.EMAIL_HOST}: {reason}"[:500]) from None
        except ValueError as error:  # no address that may stand in a header
            raise NotDelivered(f"The mail cannot be written: {error}"[:300]) from None


class _Backend(EmailBackend):
    """It can be cut off from its first reply on: Django knows of the connection only when it is signed in."""

    _talking: smtplib.SMTP | None = None

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        known: type[smtplib.SMTP] = super().connection_class

        def getreply(connection: smtplib.SMTP) -> tuple[int, bytes]:
            self._talking = connection
            return known.getreply(connection)

        return type("Talking", (known,), {"getreply": getreply})

    def socket(self) -> socket.socket | None:
        return getattr(self._talking, "sock", None)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return f"it refused the recipient: {code} {_text(said)}"
    if isinstance(error, smtplib.SMTPAuthenticationError):  # some servers say again what they were given
        return f"it refused the sign-in ({error.smtp_code}); see EMAIL_HOST_USER and EMAIL_HOST_PASSWORD"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return f"it did not answer within {STEP_SECONDS:g} s"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it closed the connection"
    return f"it cannot be reached: {getattr(error, 'strerror', None) or error}"


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())[:300]
