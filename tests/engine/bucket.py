"""A bucket in memory whose objects come at chosen times, and listings of it into a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestions.engine import config
from ingestions.engine.discovery import AUDIT, Before, Discovered, discover
from ingestions.engine.incremental import Memory
from ingestions.engine.sources.base import RemoteFile
from ingestions.engine.sources.location import Location

BASE = "s3://bkt/in/"
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Bucket:
    """``now`` is its clock, and ours. ``requests``: what was listed, as (below, start_after)."""

    now: datetime = BEGIN
    objects: dict[str, RemoteFile] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    shown: int = 0
    puts: int = 0
    left_out: int = 0

    def put(self, *keys: str, size: int = 10, at: datetime | None = None) -> None:
        for key in keys:
            self.puts += 1
            self.objects[f"{BASE}{key}"] = RemoteFile(f"{BASE}{key}", f"v{self.puts}", size, at or self.now)

    def delete(self, key: str) -> None:
        self.objects.pop(f"{BASE}{key}", None)

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        self.requests.append(((below or BASE).removeprefix(BASE), (start_after or BASE).removeprefix(BASE)))
        for address in sorted(self.objects):
            if address.startswith(below or BASE) and address > (start_after or ""):
                self.shown += 1
                yield self.objects[address]

    def folders(self, below: str) -> Iterator[str]:
        rest = (address[len(below) :] for address in self.objects if address.startswith(below))
        yield from sorted({f"{below}{name.partition('/')[0]}/" for name in rest if "/" in name})

    def stat(self, address: str) -> RemoteFile | None:
        return self.objects.get(address)


def location() -> Location:
    return Location(BASE)


def look(bucket: Bucket, store: Any, **source: Any) -> Discovered:
    """A listing as a run does it: by what the last one left. ``audit``, ``start`` and ``overwritten`` may be given."""
    more = {name: source.pop(name) for name in ("start", "overwritten") if name in source}
    before = Before(Memory.from_json(store.listing_memory()), source.pop("audit", AUDIT))
    made = config.Source.model_validate({"type": "s3", "path": BASE, **source})
    place: Any = bucket
    found = discover(place, store, made, now=lambda: bucket.now, before=before, **more)
    store.finish_discovery(listed=found.listed, hint=found.hint, end=found.end)
    return found
