"""Spark's errors while a table is loaded, in the words of the product."""

from __future__ import annotations

import re
from collections.abc import Iterable

from autoloader.lib.errors import (
    AccessError,
    AutoloaderError,
    FatalError,
    FileError,
    StaleSession,
    TransientError,
    ValueLost,
)
from autoloader.lib.spark_errors import error_class, is_spark_error, short_message, translate
from ingestions.engine.loader.base import CHANGED, DENIED, MISENCODED, LostRace, Unnamed
from ingestions.engine.loader.paths import named_in
from ingestions.engine.loader.rows import LOST, MISSING, NO_RECORDS, ODD, OTHER
from ingestions.engine.sources.base import SparkAccess


class Contention(TransientError):
    """Another commit came first; after a refresh the same operation may well succeed."""


_CONTENTION = ("Table metadata refresh is required", "CommitFailedException", "stale table metadata", "have changed")
_VERSION_TAKEN = re.compile(r"Version \d+ already exists")
#: of a session that remembers a table which another one has dropped, by kind of catalog.
_REPLACED = re.compile(r"Metadata file for version \d+ is missing|dropped by another process|Table UUID does not match")
_NOT_FOUND = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "NAMESPACE_NOT_FOUND", "NO_SUCH_TABLE")


def is_missing_table(error: Exception) -> bool:
    return (error_class(error) or "").startswith(_NOT_FOUND)


def is_ours(error: Exception) -> bool:
    """An error of the product already, or a fault in its own code, which no translation may hide."""
    return isinstance(error, AutoloaderError) or not (is_spark_error(error) or isinstance(error, OSError))


def commit_failure(error: Exception, what: str) -> Exception:
    """Of a change to the table's metadata: branch, publish, ALTER TABLE."""
    if is_ours(error):
        return error
    text = str(error)
    if any(word in text for word in _CONTENTION) or _VERSION_TAKEN.search(text):
        return Contention("commit_contention", f"Another writer changed the table meanwhile: {what}.")
    if _REPLACED.search(text):
        return StaleSession(
            "table_replaced",
            f"The table was dropped, and perhaps made anew, while a session remembered it: {what}.",
            "It is tried again in a new session.",
        )
    if "not an ancestor of" in text:
        return LostRace("lost_race", "Something else was published into the table since the batch was staged.")
    return translate(error, what)


def read_failure(error: Exception, addresses: Iterable[str], access: SparkAccess, what: str) -> Exception:
    """Of reading files: the file's own fault (``FileError``) where the error names one of them."""
    if is_ours(error):
        return error
    text, class_ = str(error), error_class(error) or ""
    if LOST in text:
        return ValueLost(
            "value_lost",
            f"A value of {_after(LOST, text) or 'a file'} would be neither in its column nor in _rescued_data.",
            "Nothing was published. This is a fault of the loader: please report it with the file's first lines.",
        )
    if MISSING in text:
        return FatalError(
            "required_column_empty",
            f"The table requires a value in column “{_after(MISSING, text)}”, and a row of this batch has none.",
            "Make the column optional (ALTER TABLE … ALTER COLUMN … DROP NOT NULL), or give the files a value.",
        )
    addresses = list(addresses)
    if (suspected := _suspected(text, addresses, access)) is not None:
        return suspected
    translated = translate(error, what)
    if isinstance(translated, TransientError):
        return translated
    address = named_in(text, addresses, access)
    if class_.startswith("PATH_NOT_FOUND") or "FileNotFoundException" in text or "FILE_NOT_EXIST" in class_:
        if address:
            return FileError(
                "file_gone",
                f"The file was listed, but is not there any more: {address}.",
                "It is loaded when it comes back.",
                path=address,
            )
        return translated
    if NO_RECORDS in text:
        address = address or _after(NO_RECORDS, text)
        return FileError(
            "records_missing",
            f"{address} has no records where format.options.records_path says, or is no whole JSON document.",
            "Correct the path, leave the file out with a pattern, or upload it again.",
            path=address,
        )
    if address and isinstance(translated, AccessError) and not class_.startswith("PATH_NOT_FOUND"):
        return FileError(
            DENIED,
            f"The store does not let the cluster read {address}.",
            "Give the credentials the right to read it, then retry the file.",
            path=address,
        )
    if address and _is_corrupt(class_, text):
        return FileError(
            "file_unreadable",
            f"Spark cannot read {address}: {_cause(text) or short_message(error)}",
            "Check that the file is complete and of the format that the ingestion says.",
            path=address,
        )
    if type(translated) is FatalError and (
        _is_corrupt(class_, text) or translated.code == (class_ or "spark_error").lower()
    ):
        return Unnamed(translated.code, translated.message, translated.hint)
    return translated


def _suspected(text: str, addresses: list[str], access: SparkAccess) -> FileError | None:
    """What the check inside the reading has found odd about a file, or the store itself: to be looked into."""
    if ODD in text:
        address = _after(ODD, text)
        return FileError(
            MISENCODED,
            f"{address} holds bytes that are no text in the encoding it is read with.",
            "Set the encoding of the format's options.",
            path=next((each for each in addresses if each.startswith(address)), address),
        )
    if OTHER in text or "RemoteFileChangedException" in text:
        changed = named_in(text, addresses, access) or _after(OTHER, text)
        if changed:
            return FileError(
                CHANGED,
                f"{changed} is not the version that was listed.",
                "The version that is there now is loaded.",
                path=changed,
            )
    return None


def _is_corrupt(class_: str, text: str) -> bool:
    return class_.startswith(("FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "CANNOT_READ")) or any(
        word in text
        for word in (
            "Encountered error while reading file",
            "Could not read footer",
            "is not a Parquet file",
            "ZipException",
            "EOFException",
            "incorrect data check",
            "incorrect header check",
            "Not a valid",
        )
    )


def _cause(text: str) -> str:
    """The decoder's own words, where they are known."""
    for word, said in (
        ("EOFException", "it ends before its compressed data does."),
        ("incorrect data check", "its compressed data is damaged."),
        ("incorrect header check", "it is not compressed the way its name says."),
        ("not a gzip file", "it is not compressed the way its name says."),
        ("is not a Parquet file", "it is not a Parquet file."),
    ):
        if word in text:
            return said
    return ""


def _after(marker: str, text: str) -> str:
    """What ``raise_error`` was given after its marker, up to the end of the line or the quote around it."""
    found = re.search(re.escape(marker) + r" ([^\n'\"]*)", text)
    return found[1].split(" SQLSTATE")[0].rstrip(" .]") if found else ""
