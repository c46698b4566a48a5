"""Who is told by an alert: an e-mail address, or the https:// address of a webhook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from autoloader.lib.errors import ConfigError
from autoloader.lib.network import check_endpoint_form
from ingestions.engine.config import IngestionConfig

#: a recipient's text is no longer, and an ingestion has no more of them.
LONGEST = 1000
MOST = 50
#: no quoted names: what a header could be broken with has no place in it.
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_END = 4


def is_webhook(recipient: str) -> bool:
    return "://" in recipient


def fault(recipient: str) -> str | None:
    """What is wrong with it, as the end of a sentence; ``None`` where nothing is. Asks no network."""
    if len(recipient) > LONGEST:
        return f"it is longer than {LONGEST:,} characters"
    if not is_webhook(recipient):
        return None if _MAIL.fullmatch(recipient) else "it is no e-mail address and no https:// address"
    if not recipient.isascii() or any(char <= " " or char == "\x7f" for char in recipient):
        return "the address holds a blank, a control character or one that is not ASCII"
    try:
        parts = urlsplit(recipient)
        plain = parts._replace(query="", path="").geturl()
        check_endpoint_form(plain)
    except (ConfigError, ValueError) as error:
        return "the host is one that is never called" if getattr(error, "code", "") == "closed_endpoint" else _NO_URL
    if parts.scheme != "https":
        return "a webhook's address begins with https://"
    return _NO_URL if parts.fragment else None


_NO_URL = "it is no https:// address without a user name and a fragment"


def faults(given: IngestionConfig) -> Iterator[tuple[str, str, str, str]]:
    """(dotted field, code, message, hint) for each one that cannot be told."""
    recipients = given.quality.alert_recipients
    field = "quality.alert_recipients"
    if len(recipients) > MOST:
        hint = "Use a mailing list, or a webhook that tells the others."
        yield field, "too_many", f"There are more than {MOST} recipients of alerts.", hint
    for at, recipient in enumerate(recipients[:MOST]):
        if (why := fault(recipient)) is not None:
            hint = "Give an e-mail address, or the https:// address of a webhook."
            yield f"{field}.{at}", "bad_recipient", f"Alerts cannot go to “{recipient[:120]}”: {why}.", hint
        elif recipient in recipients[:at]:
            yield f"{field}.{at}", "contradiction", f"“{shown(recipient)}” is named twice.", "Leave one out."


def host(webhook: str) -> str:
    return urlsplit(webhook).hostname or ""


def shown(recipient: str) -> str:
    """For lists and logs: the path and the query of a webhook often are its secret, so only their end is left."""
    if not is_webhook(recipient):
        return recipient
    parts: SplitResult = urlsplit(recipient)
    rest = recipient.partition("://")[2].partition("/")[2]
    if not rest:
        return recipient
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…{rest[-_END:] if len(rest) > 3 * _END else ''}"
