"""Whether files are text in the encoding they are read with. Spark reads over bytes that are not: it puts one character
in their place and says nothing. That character may also stand in a file itself, so the bytes have to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FileError
from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader import csv_rows
from ingestions.engine.loader.base import MISENCODED
from ingestions.engine.loader.convert import any_of
from ingestions.engine.loader.lines import numbered
from ingestions.engine.loader.rows import REPLACEMENT

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers

_UTF_8 = ("UTF-8", "UTF8", "US-ASCII", "ASCII")
#: encodings that can write the character itself; what is odd in them cannot be told from what is meant.
_WIDE = ("UTF-16", "UTF-32", "GB18030")
#: a line that is UTF-8, its bytes taken for characters one by one. Possessive, so linear and without recursion.
_VALID = (
    r"^(?:[\x00-\x7f]++|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    r"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    r"|\xf4[\x80-\x8f][\x80-\xbf]{2})*+$"
)


class Texts:
    """``trusted``: addresses of files whose bytes were looked at and are what they should be."""

    def __init__(self, readers: Readers) -> None:
        self.readers = readers
        self.trusted: set[str] = set()

    def misencoded(self, groups: Mapping[Shape, Sequence[str]]) -> dict[str, FileError]:
        """Address → what is wrong with it."""
        found: dict[str, FileError] = {}
        for shape, addresses in groups.items():
            encoding = shape.option("encoding", "UTF-8")
            if shape.format not in ("csv", "json") or encoding.upper().startswith(_WIDE):
                continue
            bad = self._lines(shape, addresses) if encoding.upper() in _UTF_8 else self._values(shape, addresses)
            found |= {address: _fault(address, encoding, line) for address, line in bad.items()}
        self.trusted |= {each for addresses in groups.values() for each in addresses if each not in found}
        return found

    def _lines(self, shape: Shape, addresses: Sequence[str]) -> dict[str, int | None]:
        """File → its first line that is no UTF-8."""
        rows = numbered(self.readers, shape, addresses)
        bytes_ = F.decode(F.col("value").cast("binary"), "ISO-8859-1")
        return _first(rows.where(~bytes_.rlike(_VALID)))

    def _values(self, shape: Shape, addresses: Sequence[str]) -> dict[str, int | None]:
        if shape.format != "csv":
            return {}
        texts = csv_rows.texts(self.readers, shape, addresses)
        odd = any_of(
            [
                F.coalesce(F.contains(F.col(f"c{at}"), F.lit(REPLACEMENT)), F.lit(False))
                for at in range(len(shape.columns))
            ]
        )
        return _first(texts.where(odd).select("source_file", F.lit(None).cast("bigint").alias("line")))


def _first(rows: Any) -> dict[str, int | None]:
    found = rows.groupBy("source_file").agg(F.min("line").alias("line")).collect()
    return {row["source_file"]: row["line"] for row in found}


def _fault(address: str, encoding: str, line: int | None) -> FileError:
    where = f" in line {line:,}" if line is not None else ""
    return FileError(
        MISENCODED,
        f"{address} is not valid {encoding}: it holds other bytes{where}.",
        "Set the encoding of the format's options, for example windows-1252 or ISO-8859-1, or correct the file.",
        path=address,
    )
