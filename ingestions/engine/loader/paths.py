"""Ledger addresses to what Spark reads, and back again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FileError
from ingestions.engine.sources.base import SparkAccess

#: every address is a plain name: no globbing (which also stumbles over ``:`` in neighbours), no partition columns out
#: of ``key=value`` folders, no file quietly left out.
READ_OPTIONS = {
    "__globPaths__": "false",
    "recursiveFileLookup": "true",
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
}


def spark_path(address: str, access: SparkAccess) -> str:
    """The path that the cluster opens. :class:`FileError` for names that Spark cannot read, so that they are set
    aside with the reason and never silently left out."""
    name = address.rsplit("/", 1)[-1]
    if _left_out(name):
        raise FileError(
            "hidden_name",
            f"Spark leaves out files whose names start with “_” or “.”: {address}.",
            "Rename the file, or exclude it with a pattern.",
            path=address,
        )
    scheme, _, rest = address.partition("://")
    if "//" in rest.lstrip("/") or any(part in (".", "..") for part in rest.split("/")):
        raise FileError(
            "unreadable_name",
            f"Spark cannot open a key with an empty, “.” or “..” folder in it: {address}.",
            "Copy the object to a key without it.",
            path=address,
        )
    return f"{access.scheme if scheme == access.ledger_scheme else scheme}://{rest}"


def _left_out(name: str) -> bool:
    """Spark's own rule for file names."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")


def ledger_address(path: str, access: SparkAccess) -> str:
    """The address of a path as Spark writes it (URL-encoded, alias scheme, ``file:/``)."""
    return _ledger_form(unquote(path) if "%" in path else path, access)


def _ledger_form(path: str, access: SparkAccess) -> str:
    scheme, _, rest = path.partition(":")
    rest = "//" + rest.lstrip("/") if scheme != "file" else "///" + rest.lstrip("/")
    return f"{access.ledger_scheme if scheme == access.scheme else scheme}:{rest}"


def source_file(path: Any, access: SparkAccess) -> Any:
    """The same as an expression over the ``file_path`` of Spark's metadata."""
    plain = F.when(F.contains(path, F.lit("%")), F.url_decode(F.replace(path, F.lit("+"), F.lit("%2B")))).otherwise(
        path
    )
    start = f"{access.ledger_scheme}://" + ("/" if access.ledger_scheme == "file" else "")
    return F.regexp_replace(plain, f"^{re.escape(access.scheme)}:/+", start)


def named_in(text: str, addresses: Iterable[str], access: SparkAccess) -> str | None:
    """The one of ``addresses`` that an error message of Spark names, if it names one."""
    found = text.replace("\\", "")
    candidates = []
    for address in addresses:
        path = address.partition("://")[2]
        if path in found or path in unquote(found):
            candidates.append(address)
    return max(candidates, key=len) if candidates else None
