"""Requests that are signed and sent by the SDK's own parts, without the machinery around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import botocore.exceptions as sdk
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client


class SignedGets:
    """Over one bucket, with a client's own connections and its session's identity."""

    def __init__(self, session: boto3.Session, client: S3Client, bucket: str) -> None:
        self._credentials = session.get_credentials()
        self._region = client.meta.region_name
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._base = ""
        if self._http is not None and self._credentials is not None:
            url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
            self._base = url.partition("/k?")[0]

    def get(self, rest: str, *, headers: Mapping[str, str] | None = None, stream: bool = False) -> Any | None:
        """The answer to a GET of the bucket's address and ``rest``; ``None``: ask the SDK."""
        if not self._base or self._credentials is None:
            return None
        request = AWSRequest("GET", f"{self._base}{rest}", headers=dict(headers or {}), stream_output=stream)
        try:
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
            return self._http.send(request.prepare())
        except (sdk.BotoCoreError, HTTPError, OSError):
            return None
