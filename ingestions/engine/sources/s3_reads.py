"""The first bytes of many objects. The SDK spends four times as long on a small GET as the request itself takes, and a
thousand new files are a thousand of them; so here the request is signed as the SDK signs it, and sent by its own
connections, without the machinery around them. Whatever is not a plain answer is left to the SDK, which knows retries,
regions and errors.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import botocore.exceptions as sdk
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.credentials import ReadOnlyCredentials
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

_NOTHING = hashlib.sha256(b"").hexdigest()
_PORTS = {"http": 80, "https": 443}


class QuickReads:
    """Over one bucket, with a client's own connections and its session's identity."""

    def __init__(self, session: boto3.Session, client: S3Client, bucket: str) -> None:
        self._credentials = session.get_credentials()
        self._region = client.meta.region_name
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._base = self._host = self._path = ""
        if self._http is not None and self._credentials is not None:
            url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
            self._base = url.partition("/k?")[0]
            parts = urlsplit(self._base)
            usual = parts.port in (None, _PORTS.get(parts.scheme))
            self._host, self._path = str(parts.hostname) if usual else parts.netloc, parts.path

    def read(self, key: str, wanted: str, length: int) -> bytes | None:
        """The bytes of the header ``Range: <wanted>``, at most ``length``; ``None``: ask the SDK."""
        if not self._base or self._credentials is None:
            return None
        encoded = quote(key, safe="/-._~")
        try:
            headers = signed(
                self._credentials.get_frozen_credentials(),
                self._region,
                path=f"{self._path}/{encoded}",
                headers={"host": self._host, "range": wanted},
                now=datetime.now(UTC),
            )
            told: Any = HeadersDict(headers)  # of the type that the SDK itself hands on, whatever its stubs say
            request = AWSPreparedRequest("GET", f"{self._base}/{encoded}", told, None, stream_output=True)
            answer = self._http.send(request)
        except (sdk.BotoCoreError, HTTPError, OSError):
            return None
        return _content(answer, length)


def signed(
    keys: ReadOnlyCredentials, region: str, *, path: str, headers: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """The headers of a GET of ``path`` (encoded, without a query) with its AWS signature, version 4. ``headers`` are in
    small letters, the host among them; the host itself is added by whoever sends them."""
    at = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    told = {**headers, "x-amz-content-sha256": _NOTHING, "x-amz-date": at}
    if keys.token:
        told["x-amz-security-token"] = keys.token
    names = sorted(told)
    lines = "".join(f"{name}:{told[name]}\n" for name in names)
    request = f"GET\n{path}\n\n{lines}\n{';'.join(names)}\n{_NOTHING}"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_day_key(keys.secret_key, at[:8], region), text.encode(), "sha256").hex()
    told["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    del told["host"]
    return told


def _day_key(secret: str | None, day: str, region: str) -> bytes:
    key = f"AWS4{secret or ''}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


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
