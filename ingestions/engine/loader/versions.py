"""Whether what is read is what was listed: a file that was overwritten meanwhile is another version, and its rows would
stand under the wrong one.

Size and time come with each row for nothing, as Spark knows them of each file. Stores tell times to the second, a disk
to the millisecond; what is overwritten within the same one, and as long as before, is not told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pyspark.sql.connect.functions as F

from ingestions.engine.ledger import Entry
from ingestions.engine.loader.convert import Expression
from ingestions.engine.loader.rows import OTHER
from ingestions.engine.sources.base import RemoteFile, SparkAccess

#: joins size and time to one number; the largest object times it is still a whole number of 64 bits.
_FACTOR = 1_000_003
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Versions:
    """Compared while files are read; less of them where the cluster sees other figures than the store tells."""

    def __init__(self, access: SparkAccess) -> None:
        self._unit = 1_000 if access.ledger_scheme == "file" else 1_000_000  # microseconds
        self._compared = 2
        self._known: frozenset[int] = frozenset()

    def compare_less(self) -> None:
        self._compared = max(0, self._compared - 1)

    @contextmanager
    def of(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Inside, frames are made that fail where a file is none of these versions."""
        self._known = frozenset(self._number(entry.file) for entry in entries)
        try:
            yield
        finally:
            self._known = frozenset()

    def checked(self, address: Expression) -> Expression:
        """``address``, or an error that names the file as Spark does."""
        if not self._known or not self._compared:
            return address
        return F.when(self._read().isin(*self._known), address).otherwise(
            F.raise_error(F.concat(F.lit(f"{OTHER} "), F.col("_metadata.file_path")))
        )

    def same(self, files: Sequence[RemoteFile]) -> Expression:
        """Whether what is read is one of these versions."""
        return self._read().isin(*{self._number(file) for file in files}) if self._compared else F.lit(True)

    def _read(self) -> Expression:
        """Size and time of the file that a row comes from, as one number."""
        size = F.col("_metadata.file_size")
        if self._compared < 2:
            return size
        time = F.expr(f"unix_micros(_metadata.file_modification_time) div {self._unit:d}")
        return size * F.lit(_FACTOR) + time

    def _number(self, file: RemoteFile) -> int:
        size = file.size_bytes
        if self._compared < 2:
            return size
        micros = (file.modified_at - _EPOCH) // timedelta(microseconds=1)
        return size * _FACTOR + micros // self._unit
