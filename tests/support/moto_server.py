"""The program that :class:`tests.support.s3.S3Server` starts: moto, which here reads signatures as S3 does.

moto lets botocore compute what a request's signature should be, and so finds right only what botocore itself would have
signed. The SDK for Java in Hadoop 3.3 signs ``User-Agent`` too, and writes a query's space as ``+`` and its ``*`` as
it is: S3 takes both, and moto would answer 403.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from moto.iam.access_control import S3IAMRequest
from moto.server import main


class AsS3Reads(S3SigV4Auth):
    """The signature over each header that the request has, and over its query as it is meant, however it is written.

    moto hands over those headers only that the client names as signed.
    """

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers

    def canonical_query_string(self, request: AWSRequest) -> str:
        meant = parse_qsl(urlsplit(str(request.url)).query, keep_blank_values=True)
        return "&".join("=".join(pair) for pair in sorted((quote(name, ""), quote(value, "")) for name, value in meant))


def _create_auth(request: Any, credentials: Any) -> S3SigV4Auth:
    return AsS3Reads(credentials, request._service, request._region)


if __name__ == "__main__":
    setattr(S3IAMRequest, "_create_auth", _create_auth)  # noqa: B010  # a method, for mypy
    main(sys.argv[1:])
