"""The first bytes of many objects. The SDK spends four times as long on a small GET as the request itself takes, and a
thousand new files are a thousand of them; so here the request is signed and sent by the SDK's own parts, without the
machinery around them. Whatever is not a plain answer is left to the SDK, which knows retries, regions and errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import botocore.exceptions as sdk
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client


class QuickReads:
    """Over one bucket, with a client's own connections and its session's identity."""

    def __init__(self, session: boto3.Session, client: S3Client, bucket: str) -> None:
        self._credentials = session.get_credentials()
        self._region = client.meta.region_name
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._base = ""
        if self._http is not None and self._credentials is not None:
            url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
            self._base = url.partition("/k?")[0]

    def read(self, key: str, wanted: str, length: int) -> bytes | None:
        """The bytes of the header ``Range: <wanted>``, at most ``length``; ``None``: ask the SDK."""
        if not self._base or self._credentials is None:
            return None
        request = AWSRequest(
            "GET", f"{self._base}/{quote(key, safe='/-._~')}", headers={"Range": wanted}, stream_output=True
        )
        try:
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
            answer = self._http.send(request.prepare())
        except (sdk.BotoCoreError, HTTPError, OSError):
            return None
        return _content(answer, length)


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
