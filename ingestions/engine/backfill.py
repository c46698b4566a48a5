"""A range of a source that is loaded although the rules of time would leave it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.config import Backfill, IngestionConfig
from ingestions.engine.ledger import Cause
from ingestions.engine.sources.base import RemoteFile, Source, SparkAccess
from ingestions.engine.sources.location import locate

#: of files that were left out for their time only.
CAUSES_OF_TIME = frozenset({Cause.TOO_OLD, Cause.TOO_NEW, Cause.BEFORE_START})


@dataclass(frozen=True)
class Range:
    """Files modified from ``modified_after`` on and before ``modified_before``, with addresses that begin with
    ``prefix``; ``None`` for no bound."""

    modified_after: datetime | None = None
    modified_before: datetime | None = None
    prefix: str | None = None

    def holds(self, file: RemoteFile) -> bool:
        return (
            (self.modified_after is None or file.modified_at >= self.modified_after)
            and (self.modified_before is None or file.modified_at < self.modified_before)
            and (self.prefix is None or file.address.startswith(self.prefix))
        )

    def to_json(self) -> dict[str, str | None]:
        def instant(at: datetime | None) -> str | None:
            return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None

        return {
            "modified_after": instant(self.modified_after),
            "modified_before": instant(self.modified_before),
            "prefix": self.prefix,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From what :meth:`to_json` made."""

        def instant(text: str | None) -> datetime | None:
            return datetime.fromisoformat(text) if text else None

        return cls(instant(document["modified_after"]), instant(document["modified_before"]), document["prefix"])

    def words(self) -> str:
        """``files modified from 2025-01-01 00:00 UTC on, below s3://shop/orders/2025/``."""
        parts = ["files"]
        if self.modified_after:
            parts.append(f"modified from {self.modified_after.astimezone(UTC):%Y-%m-%d %H:%M} UTC on")
        if self.modified_before:
            before = f"before {self.modified_before.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            parts.append(f"and {before}" if self.modified_after else f"modified {before}")
        if self.prefix:
            parts.append(f"whose names begin with {self.prefix}")
        return " ".join(parts)


def range_of(
    source: config.Source, *, modified_after: datetime | None, modified_before: datetime | None, prefix: str | None
) -> Range:
    """Checks what a person asks for: instants without a zone are in UTC, a prefix is an address or goes on after the
    source's path. Raises ConfigError with the field at fault."""
    after, before = _utc(modified_after, "modified_after"), _utc(modified_before, "modified_before")
    prefix = (prefix or "").strip() or None
    if after is None and before is None and prefix is None:
        raise ConfigError(
            "no_range", "It is not said which files.", "Give modified_after, modified_before or prefix.",
            field="modified_after",
        )  # fmt: skip
    if after is not None and before is not None and after >= before:
        raise ConfigError(
            "contradiction", "No file was modified after modified_after and before modified_before.",
            "Let modified_after be the earlier one.", field="modified_before",
        )  # fmt: skip
    return Range(after, before, _address(source, prefix) if prefix else None)


def _address(source: config.Source, prefix: str) -> str:
    base = locate(source).base
    if "\x00" in prefix or len(prefix) > 2048:
        raise ConfigError("bad_prefix", "The prefix is no name of a file.", "Correct it.", field="prefix")
    if "://" not in prefix:
        return base + prefix.lstrip("/")
    if not prefix.startswith(base):
        raise ConfigError(
            "bad_prefix", f"The prefix {prefix} is not below the source's path {base}.",
            "Give one below it, or only what follows the path.", field="prefix",
        )  # fmt: skip
    return prefix


def _utc(moment: datetime | None, field: str) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ConfigError("bad_time", f"{moment} is no instant of UTC.", "Give another.", field=field) from None


def without_times(configuration: IngestionConfig) -> IngestionConfig:
    """As it reads a backfill's range: everything of it, whenever it was modified."""
    source = configuration.source.model_copy(
        update={"modified_after": None, "modified_before": None, "discovery": "full"}
    )
    schedule = configuration.schedule.model_copy(update={"start": "all", "backfill": Backfill()})
    return configuration.model_copy(update={"source": source, "schedule": schedule})


class RangeOfSource:
    """A source of which only the objects of a range are listed; ``seen`` counts those."""

    def __init__(self, source: Source, wanted: Range) -> None:
        self._source = source
        self._wanted = wanted
        self.seen = 0

    @property
    def left_out(self) -> int:
        return self._source.left_out

    def folders(self, below: str) -> Iterator[str]:
        return self._source.folders(below)

    def list(self, start_after: str | None = None, *, below: str | None = None) -> Iterator[RemoteFile]:
        for file in self._source.list(start_after, below=below):
            if self._wanted.holds(file):
                self.seen += 1
                yield file

    def stat(self, address: str) -> RemoteFile | None:
        return self._source.stat(address)

    def read_range(self, address: str, start: int, length: int) -> bytes:
        return self._source.read_range(address, start, length)

    def weigh(self, folder: str, limit: int) -> int | None:
        return self._source.weigh(folder, limit)

    def spark_access(self) -> SparkAccess:
        return self._source.spark_access()

    def close(self) -> None:
        self._source.close()
