"""Each store that a source can read, filled through its own door: what the contract suite runs over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ingestions.engine import config
from ingestions.engine.sources import open_source
from ingestions.engine.sources.base import Source
from tests.support.s3 import S3Server

LOOPBACK = ("127.0.0.0/8",)


class Filled(ABC):
    """A place of its own in a store. ``root`` is its address with the last ``/``."""

    root: str

    @abstractmethod
    def put(self, key: str, body: bytes) -> None: ...

    @abstractmethod
    def delete(self, key: str) -> None: ...

    @abstractmethod
    def open(self, path: str | None = None, **more: Any) -> Source: ...

    @abstractmethod
    def open_missing(self) -> Source:
        """A source whose bucket or folder does not exist."""

    def put_many(self, keys: list[str], body: bytes) -> None:
        for key in keys:
            self.put(key, body)


class FilledFolder(Filled):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = f"file://{folder}/"

    def put(self, key: str, body: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()

    def open(self, path: str | None = None, **more: Any) -> Source:
        source = config.Source(type="local", path=path or self.root, **more)
        return open_source(source, None, local_roots=[str(self.folder)], allowed_networks=(), alias_key="k")

    def open_missing(self) -> Source:
        return self.open(f"{self.root}missing/")


class FilledBucket(Filled):
    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.bucket = server.create_bucket()
        self.root = f"s3://{self.bucket}/"
        self.client = server.s3

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_many(self, keys: list[str], body: bytes) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.put(key, body), keys))

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def open(self, path: str | None = None, credentials: dict[str, Any] | None = None, **more: Any) -> Source:
        source = config.Source(type="s3", path=path or self.root, **more)
        keys = config.Credentials.model_validate(credentials or self.server.credentials())
        return open_source(source, keys, local_roots=(), allowed_networks=LOOPBACK, alias_key="k")

    def open_missing(self) -> Source:
        return self.open("s3://no-such-bucket-at-all/")
