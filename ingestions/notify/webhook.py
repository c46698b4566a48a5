"""One signed request to a webhook: over TLS that is verified, to an address that is allowed, with no redirect followed.

What it answers is not read beyond the status: it is nobody's to see who only names an address.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from autoloader.lib.errors import AutoloaderError
from autoloader.lib.network import allowed_addresses
from ingestions.notify import NotDelivered
from ingestions.notify.deadline import cut_after

CONNECT_SECONDS = 5.0
#: of each step, and of all of them.
STEP_SECONDS = 10.0
WHOLE_SECONDS = 15.0


def send(*, url: str, document: dict[str, Any], key: str, secret: str, allowed_networks: Sequence[str]) -> None:
    """Raises :class:`NotDelivered` unless the answer is of the 200s."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        addresses = allowed_addresses(host, port, allowed_networks, field="quality.alert_recipients")
    except AutoloaderError as error:
        raise NotDelivered(error.message[:300]) from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = json.dumps({"id": key, **document}, ensure_ascii=False, sort_keys=True).encode()
    connection = _Connection(host, port, addresses)
    with cut_after(WHOLE_SECONDS, lambda: connection.sock) as cut:
        try:
            connection.request("POST", target, body, headers(body, key=key, secret=secret))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            reason = f"did not end within {WHOLE_SECONDS:g} s" if cut.is_set() else _reason(error)
            raise NotDelivered(f"{host} {reason}.") from None
        finally:
            connection.close()
    if 300 <= status < 400:
        raise NotDelivered(f"{host} answered {status}: redirects are not followed. Give the address that it leads to.")
    if not 200 <= status < 300:
        raise NotDelivered(f"{host} answered {status}.")


def headers(body: bytes, *, key: str, secret: str, now: float | None = None) -> dict[str, str]:
    """The signature is over ``<timestamp>.<body>``; the timestamp (seconds) is that of this try."""
    stamp = str(int(time.time() if now is None else now))
    return {
        "Content-Type": "application/json",
        "User-Agent": "Autoloader",
        "Autoloader-Delivery": key,
        "Autoloader-Timestamp": stamp,
        "Autoloader-Signature": f"v1={signature(secret, stamp, body)}",
    }


def signature(secret: str, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class _Connection(http.client.HTTPSConnection):
    """To one of the addresses that were checked: the name is not asked for again."""

    def __init__(self, host: str, port: int, addresses: Sequence[str]) -> None:
        self._tls = ssl.create_default_context()
        self._addresses = addresses
        super().__init__(host, port, timeout=STEP_SECONDS, context=self._tls)

    def connect(self) -> None:
        failed: OSError = OSError("no address")
        for address in self._addresses[:3]:
            try:
                raw = socket.create_connection((address, self.port), timeout=CONNECT_SECONDS)
            except OSError as error:
                failed = error
                continue
            raw.settimeout(STEP_SECONDS)
            tls = self._tls.wrap_socket(raw, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = tls  # before the two sides agree on keys, so that it can be shut meanwhile
            tls.do_handshake()
            return
        raise failed


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS as it should ({error.reason or 'no reason given'})"
    if isinstance(error, TimeoutError):
        return f"did not answer within {STEP_SECONDS:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections at this port"
    if isinstance(error, (http.client.HTTPException, ConnectionError)):
        return f"closed the connection or answered what is no HTTP ({type(error).__name__})"
    return f"cannot be reached ({error.strerror or type(error).__name__})" if isinstance(error, OSError) else "failed"
