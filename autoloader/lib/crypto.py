"""Secrets at rest: one JSON document under MultiFernet, keys from the settings, newest first."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from autoloader.lib.errors import FatalError


class SecretBox:
    """Encrypts and decrypts JSON values. Raises :class:`FatalError` when no configured key fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise FatalError(
                "no_encryption_key",
                "No encryption key is configured.",
                "Set AUTOLOADER_ENCRYPTION_KEYS (make one with: manage.py encryption-key).",
            )
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, value: Any) -> str:
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def open(self, sealed: str) -> Any:
        try:
            return json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise FatalError(
                "encryption_key_mismatch",
                "A stored secret cannot be decrypted with the configured encryption keys.",
                "Put the key it was written with back into AUTOLOADER_ENCRYPTION_KEYS.",
            ) from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the newest key."""
        return self._fernet.rotate(sealed.encode()).decode()


def fingerprint(key: str, *parts: str) -> str:
    """A keyed hash of ``parts``, 32 hex digits, that tells nothing about them without ``key``."""
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()[:32]
