"""What a configuration may not say of malformed rows and of files that change."""

from __future__ import annotations

from collections.abc import Iterator

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.quarantine_name import SUFFIX, quarantine_name
from ingestions.engine.rows_limit import RowsLimit

#: characters of a name that Iceberg's catalogs and folders take.
_LONGEST = 255


def faults(given: IngestionConfig) -> Iterator[tuple[str, str, str, str]]:
    """Field, code, message and hint of each."""
    yield from _bad_rows(given)
    to = given.destination
    if given.format.overwritten == "replace" and to.write_mode != "append":
        yield (
            "format.overwritten",
            "contradiction",
            f"The rows of a file are replaced where rows are appended, and the write mode is {to.write_mode}.",
            "Use append: a key's row, a partition or the table is replaced by what is new in any case.",
        )


def _bad_rows(given: IngestionConfig) -> Iterator[tuple[str, str, str, str]]:
    format_ = given.format
    if format_.bad_rows_limit is not None:
        field = "format.bad_rows_limit"
        try:
            RowsLimit.parse(format_.bad_rows_limit)
        except ConfigError as error:
            yield field, error.code, error.message, error.hint
    if format_.bad_rows != "rescue" and format_.type not in ("csv", "json", "xml", "auto"):
        yield (
            "format.bad_rows",
            "contradiction",
            f"Files of the type {format_.type} have no malformed rows.",
            "Leave it out: a damaged file is set aside as a whole.",
        )
    if format_.bad_rows == "quarantine" and len(quarantine_name(given.destination.table)) > _LONGEST:
        yield (
            "destination.table",
            "invalid_name",
            f"The table's name is too long with {SUFFIX} behind it, which is where malformed rows go.",
            "Use a shorter one.",
        )
