"""Pages of a listing. The SDK takes far longer to read a page's XML than the store takes to send it, and a million
keys are a thousand pages; so here the request is signed and sent by the SDK's own parts, and the answer read plainly.
Whatever is not a plain answer is left to the SDK, which knows retries, regions and errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

import botocore.exceptions as sdk
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import unquote_str
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

_NAMES = {
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "StartAfter": "start-after",
    "ContinuationToken": "continuation-token",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing. ``modified_at`` is aware; ``etag`` without its quotation marks, ``""`` for none."""

    key: str
    size: int
    modified_at: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """``token``: what the next page is asked for with, ``None`` at the end."""

    entries: list[Entry]
    folders: list[str]
    token: str | None


class QuickLists:
    """Over one bucket, with a client's own connections and its session's identity."""

    def __init__(self, session: boto3.Session, client: S3Client, bucket: str) -> None:
        self._credentials = session.get_credentials()
        self._region = client.meta.region_name
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._base = ""
        if self._http is not None and self._credentials is not None:
            url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
            self._base = url.partition("/k?")[0]

    def page(self, request: Mapping[str, str], size: int) -> Page | None:
        """A page of ``list_objects_v2`` with these of its parameters; ``None``: ask the SDK."""
        if not self._base or self._credentials is None:
            return None
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(size)}
        query |= {_NAMES[name]: value for name, value in request.items()}
        text = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in sorted(query.items()))
        asked = AWSRequest("GET", f"{self._base}?{text}")
        try:
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(asked)
            answer = self._http.send(asked.prepare())
            return read(answer.content) if answer.status_code == 200 else None
        except (sdk.BotoCoreError, HTTPError, OSError):
            return None


def of_sdk(answer: Mapping[str, Any]) -> Page:
    """The SDK's answer in the same form."""
    entries = [
        Entry(each["Key"], int(each["Size"]), each["LastModified"], str(each.get("ETag", "")).strip('"'))
        for each in answer.get("Contents", ())
    ]
    folders = [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
    return Page(entries, folders, answer.get("NextContinuationToken") if answer.get("IsTruncated") else None)


def read(body: bytes) -> Page | None:
    """``None`` for what is no listing, or not a whole one."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  # the SDK reads the same answers with the same parser
        space = root.tag[: root.tag.rindex("}") + 1] if "}" in root.tag else ""
        if root.tag != f"{space}ListBucketResult":
            return None
        encoded = root.findtext(f"{space}EncodingType") == "url"
        entries = [_entry(each, space, encoded) for each in root.iterfind(f"{space}Contents")]
        folders = [
            _decoded(each.findtext(f"{space}Prefix") or "", encoded) for each in root.iterfind(f"{space}CommonPrefixes")
        ]
        more = root.findtext(f"{space}IsTruncated") == "true"
        token = root.findtext(f"{space}NextContinuationToken")
    except (ElementTree.ParseError, ValueError, TypeError):
        return None
    if more and not token:
        return None
    return Page(entries, folders, token if more else None)


def _entry(element: ElementTree.Element, space: str, encoded: bool) -> Entry:
    """ValueError, TypeError where it lacks what every object has, or the time is in no zone."""
    found = {each.tag: each.text or "" for each in element}
    key, size = found.get(f"{space}Key"), found.get(f"{space}Size")
    modified_at = datetime.fromisoformat(found[f"{space}LastModified"]) if f"{space}LastModified" in found else None
    if not key or size is None or modified_at is None or modified_at.tzinfo is None:
        raise ValueError("no object of a listing")
    return Entry(_decoded(key, encoded), int(size), modified_at, found.get(f"{space}ETag", "").strip('"'))


def _decoded(text: str, encoded: bool) -> str:
    decoded: str = unquote_str(text) if encoded and ("%" in text or "+" in text) else text
    return decoded
