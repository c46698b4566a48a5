"""S3 and what speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.exceptions as sdk
from urllib3.exceptions import HTTPError

from autoloader.lib.errors import AccessError, TransientError
from ingestions.engine.sources.base import RemoteFile, SparkAccess
from ingestions.engine.sources.location import Location
from ingestions.engine.sources.s3_access import DEFAULT_REGION, S3Access
from ingestions.engine.sources.s3_errors import translated
from ingestions.engine.sources.s3_lists import Entry, Page, QuickLists, of_sdk
from ingestions.engine.sources.s3_reads import QuickReads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = 1000
#: Spark lists each folder inside of a folder with a request of its own.
FOLDER_WEIGHT = 20
#: changes from one folder to another that a listing remembers; of more than these, folders are listed again.
_RUNS_KEPT = 10_000
_READ_TRIES = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class S3Source:
    """One prefix of one bucket. Thread-safe; at most 20 requests at once."""

    def __init__(self, location: Location, access: S3Access) -> None:
        self._location = location
        self._bucket = location.bucket
        self._access = access
        with translated(self._root, access.secrets):
            session = access.session()
            self._client: S3Client = access.client(self._bucket, session)
            self._quick = QuickReads(session, self._client, self._bucket)
            self._lists = QuickLists(session, self._client, self._bucket)
        self._seen: _Runs | None = None  # of the last whole listing
        self.left_out = 0

    def __repr__(self) -> str:
        return f"S3Source({self._location.base!r})"

    @property
    def _root(self) -> str:
        return f"s3://{self._bucket}/"

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        after = self._key(start_after) if start_after else None
        if below is not None:
            yield from self._below(self._key(below), after)
            return
        if self._location.open_end:
            alone = self._location.prefix.removesuffix("/")
            found = self._one(alone) if alone else None
            if found is not None and (after is None or alone > after):
                yield found
        runs, left_out = _Runs(), 0
        for entry in self._pages(self._location.prefix, after):
            runs.add(entry.key)
            if _console_folder(entry):
                left_out += 1
            else:
                yield self._file(entry)
        if after is None:
            self._seen, self.left_out = runs, left_out

    def _below(self, folder: str, after: str | None) -> Iterator[RemoteFile]:
        wanted = self._location.prefix
        if not folder.startswith(wanted):
            if not wanted.startswith(folder):
                return
            folder = wanted
        for entry in self._pages(folder, after):
            if not _console_folder(entry):
                yield self._file(entry)

    def folders(self, below: str) -> Iterator[str]:
        for page in self._answers({"Prefix": self._key(below), "Delimiter": "/"}):
            for folder in page.folders:
                yield f"{self._root}{folder}"

    def stat(self, address: str) -> RemoteFile | None:
        return self._one(self._key(address))

    def read_range(self, address: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        wanted = f"bytes={start}" if start < 0 else f"bytes={start}-{start + length - 1}"
        if (content := self._quick.read(self._key(address), wanted, length)) is not None:
            return content
        for attempt in range(1, _READ_TRIES + 1):
            try:
                return self._read(address, wanted, length)
            except TransientError:
                if attempt == _READ_TRIES:
                    raise
        raise AssertionError("unreachable")

    def weigh(self, folder: str, limit: int) -> int | None:
        inside = self._key(folder)
        if self._seen is not None and self._seen.whole and inside.startswith(self._location.prefix):
            return self._seen.inside(inside)
        runs = _Runs()
        try:
            for entry in self._pages(inside, None):
                runs.add(entry.key)
                if runs.weight > limit:
                    break
        except AccessError:  # keys that may list a prefix only; Spark could not list the folder with them either
            return None
        return runs.weight

    def spark_access(self) -> SparkAccess:
        return self._access.spark_access(self._bucket, self._region())

    def close(self) -> None:
        self._client.close()

    # ---- requests

    def _pages(self, prefix: str, after: str | None) -> Iterator[Entry]:
        """Entries of a listing, page by page."""
        for page in self._answers({"Prefix": prefix, **({"StartAfter": after} if after else {})}):
            yield from page.entries

    def _answers(self, request: Mapping[str, str]) -> Iterator[Page]:
        """Pages of a listing."""
        page = self._answer(request, PAGE)
        yield page
        while page.token is not None:
            page = self._answer({**request, "ContinuationToken": page.token}, PAGE)
            yield page

    def _answer(self, request: Mapping[str, str], size: int) -> Page:
        with translated(self._root + request["Prefix"], self._access.secrets):
            if (page := self._lists.page(request, size)) is not None:
                return page
            parameters: dict[str, Any] = dict(request)
            # the SDK asks for URL-encoded keys and decodes them
            return of_sdk(self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=size, **parameters))

    def _one(self, key: str) -> RemoteFile | None:
        """One object as a listing shows it: the first key that starts with ``key`` is the key itself, if it is there.

        HEAD would need another right and tells errors without a body.
        """
        entries = self._answer({"Prefix": key}, 1).entries
        return self._file(entries[0]) if entries and entries[0].key == key else None

    def _read(self, address: str, wanted: str, length: int) -> bytes:
        with translated(address, self._access.secrets):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(address), Range=wanted)
            except sdk.ClientError as error:
                if error.response.get("Error", {}).get("Code") in ("InvalidRange", "416"):
                    return b""  # an empty object, or a start behind its end
                raise
            body, size = answer["Body"], min(length, answer["ContentLength"])
            try:
                content = body.read(size)
            except (HTTPError, OSError):
                content = b""
            finally:
                body.close()
        if len(content) < size:  # the SDK hands out what it got, and says nothing
            raise TransientError(
                "connection_lost", f"The connection broke while reading {address}.", "It is tried again."
            )
        return content

    def _region(self) -> str:
        """Where the bucket lies: as given, as AWS tells, or any for an endpoint that has no regions."""
        given = self._access.credentials
        if given.region_name or given.endpoint_url:
            return given.region_name or DEFAULT_REGION
        with translated(self._root, self._access.secrets):
            try:
                answer: Mapping[str, Any] = self._client.head_bucket(Bucket=self._bucket)
            except sdk.ClientError as error:
                answer = error.response  # a refusal names the region too
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(headers.get("x-amz-bucket-region") or DEFAULT_REGION)

    # ---- values

    def _key(self, address: str) -> str:
        return address.removeprefix(self._root)

    def _file(self, entry: Entry) -> RemoteFile:
        modified_at = entry.modified_at.astimezone(UTC)
        version = entry.etag or f"{(modified_at - _EPOCH) // timedelta(microseconds=1) * 1000}-{entry.size}"
        return RemoteFile(f"{self._root}{entry.key}", version, entry.size, modified_at)


def _console_folder(entry: Entry) -> bool:
    """Consoles make "folders" as empty objects whose key ends with a slash."""
    return entry.size == 0 and entry.key.endswith("/")


class _Runs:
    """What a listing has shown of its folders: how many objects of one follow each other."""

    def __init__(self) -> None:
        self._runs: list[list[Any]] = []  # folder with its slash, objects
        #: what it costs Spark to list all of it, in objects.
        self.weight = 0
        #: whether there were not too many to remember.
        self.whole = True

    def add(self, key: str) -> None:
        folder = key[: key.rfind("/") + 1]
        if self._runs and self._runs[-1][0] == folder:
            self._runs[-1][1] += 1
            self.weight += 1
            return
        if len(self._runs) >= _RUNS_KEPT:
            self._runs.clear()
            self.whole = False
        self._runs.append([folder, 1])
        self.weight += FOLDER_WEIGHT

    def inside(self, folder: str) -> int:
        """The weight of one of its folders (a key with its slash)."""
        return sum(FOLDER_WEIGHT + count - 1 for each, count in self._runs if each.startswith(folder))
