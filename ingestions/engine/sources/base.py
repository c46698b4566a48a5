"""What every cloud must be able to do, in values that no SDK leaks into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One version of one object. ``address`` is the un-encoded ledger address (``s3://bucket/key``, ``file:///path``),
    ``version`` the store's ETag or, where it gives none, ``<mtime in ns>-<size>``; ``modified_at`` is aware, UTC.
    """

    address: str
    version: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SparkAccess:
    """How the cluster reads this source: session configuration (secret!) and the scheme that stands for the store.

    ``conf`` keys are un-prefixed Hadoop keys (``fs.s3a.…``) set with ``spark.conf.set``. ``scheme`` is the alias
    scheme (``al0123…``) or ``file``; ``ledger_scheme`` is what the ledger writes instead of it.
    """

    scheme: str
    ledger_scheme: str
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: same fingerprint = same endpoint and credentials; a session is only ever shared within one.
    fingerprint: str = ""


class Source(Protocol):
    """One place in one store. Errors are ``AccessError``, ``TransientError``, ``ConfigError`` or ``FileError``."""

    @property
    def left_out(self) -> int:
        """Objects that the last whole listing has passed over: consoles' folders, links that lead out."""

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        """Streams every object below the prefix in key order (constant memory), hidden and empty ones included;
        ``start_after`` is a ledger address: only later names are listed. ``below``: an address with a closing slash,
        and only what lies below it is listed.
        """

    def folders(self, below: str) -> Iterator[str]:
        """Addresses, with their closing slash, of the folders right below ``below`` (which ends with one) in key order;
        one in which nothing lies may be missing."""

    def stat(self, address: str) -> RemoteFile | None:
        """The object's current version, ``None`` when it is gone."""

    def read_range(self, address: str, start: int, length: int) -> bytes:
        """At most ``length`` bytes from ``start`` (a negative ``start`` counts from the end). FileError when gone."""

    def weigh(self, folder: str, limit: int) -> int | None:
        """What listing all that lies below ``folder`` (an address with a closing slash, anywhere in this store) costs,
        in objects, counted as far as ``limit``. ``None`` where it cannot be told, or where a listing is no cheaper than
        a look at each file.
        """

    def spark_access(self) -> SparkAccess: ...

    def close(self) -> None: ...
