"""The first bytes of many objects. The SDK spends four times as long on a small GET as the request itself takes, and a
thousand new files are a thousand of them; so they go past its machinery. Whatever is not a plain answer is left to the
SDK, which knows retries, regions and errors.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from ingestions.engine.sources.s3_signed import SignedGets


class QuickReads(SignedGets):
    def read(self, key: str, wanted: str, length: int) -> bytes | None:
        """The bytes of the header ``Range: <wanted>``, at most ``length``; ``None``: ask the SDK."""
        answer = self.get(f"/{quote(key, safe='/-._~')}", headers={"Range": wanted}, stream=True)
        return None if answer is None else _content(answer, length)


def _content(answer: Any, length: int) -> bytes | None:
    """``None`` unless it is the range, and the whole of it: a store may know no ranges and send all it has."""
    whole = False
    try:
        size = int(answer.headers.get("Content-Length", -1))
        if answer.status_code != 206 or not 0 <= size <= length or "Content-Encoding" in answer.headers:
            return None
        content: bytes = answer.raw.read(size)
        whole = len(content) == size
        return content if whole else None
    except (HTTPError, OSError, ValueError):
        return None
    finally:
        # a connection with something left in it is of no further use
        answer.raw.release_conn() if whole else answer.raw.close()
