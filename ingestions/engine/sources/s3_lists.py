"""Pages of a listing. The SDK takes far longer to read a page's XML than the store takes to send it, and a million
keys are a thousand pages; so they go past its machinery, and the answer is read plainly.
Whatever is not a plain answer is left to the SDK, which knows retries, regions and errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.compat import unquote_str

from ingestions.engine.sources.s3_signed import SignedGets

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


class QuickLists(SignedGets):
    def page(self, request: Mapping[str, str], size: int) -> Page | None:
        """A page of ``list_objects_v2`` with these of its parameters; ``None``: ask the SDK."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(size)}
        query |= {_NAMES[name]: value for name, value in request.items()}
        text = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in sorted(query.items()))
        answer = self.get(f"?{text}")
        return read(answer.content) if answer is not None and answer.status_code == 200 else None


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
