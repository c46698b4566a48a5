"""Ledger addresses to what Spark reads, and back again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FileError
from ingestions.engine.sources.base import SparkAccess

#: no partition columns out of ``key=value`` folders, no file quietly left out.
READ_OPTIONS = {
    "recursiveFileLookup": "true",
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
}


#: where files stand whose own names would have Spark unpack them wrongly.
LINKS = "viewfs://autoloader/"
#: every path is a pattern to Spark, and an address a plain name. A path whose patterns are all escaped is opened as it
#: is, without a look at its neighbours.
_PATTERN = re.compile(r"[\\{}\[\]*?]")
#: an address of characters that Spark writes as they are. Of local files it writes the start in more than one way.
_UNCHANGED = re.compile(r"(?!file:)[a-z0-9]+://[A-Za-z0-9/_.=~-]*")


def spark_path(address: str, access: SparkAccess) -> str:
    """The path that the cluster opens, escaped. :class:`FileError` for names that Spark cannot read, so that they are
    set aside with the reason and never silently left out."""
    name = address.rsplit("/", 1)[-1]
    if left_out(name):
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
    if scheme == "file" and ":" in name:  # Hadoop cannot name the checksum that it looks for beside it
        raise FileError(
            "unreadable_name",
            f"Spark cannot open a local file with a colon in its name: {address}.",
            "Rename the file. In object storage such names are no problem.",
            path=address,
        )
    return _escaped(address, access)


def folder_path(folder: str, access: SparkAccess) -> str:
    """The same for a folder. It need not be one that Spark would look into by itself."""
    return _escaped(folder, access)


def _escaped(address: str, access: SparkAccess) -> str:
    scheme, _, rest = address.partition("://")
    escaped = _PATTERN.sub(r"\\\g<0>", rest)
    return f"{access.scheme if scheme == access.ledger_scheme else scheme}://{escaped}"


def left_out(name: str) -> bool:
    """Spark's own rule for file names."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")


def link_path(address: str, ending: str) -> str:
    """A name of the file that Spark unpacks as its ``ending`` says; it holds the address."""
    return f"{LINKS}{address.encode().hex()}{ending}"


def link_options(addresses: Iterable[str], ending: str, access: SparkAccess) -> dict[str, str]:
    """Reader options with which Hadoop's view file system shows these files under :func:`link_path`. It keeps nothing:
    each reader brings its own links, and the stores behind them are opened as ever."""
    mount = "fs.viewfs.mounttable.autoloader.link./"
    return {
        "fs.viewfs.impl.disable.cache": "true",
        "fs.viewfs.enable.inner.cache": "false",
        **{
            mount + link_path(address, ending).removeprefix(LINKS): _link_target(address, access)
            for address in addresses
        },
    }


def _link_target(address: str, access: SparkAccess) -> str:
    scheme, _, rest = address.partition("://")
    return f"{access.scheme if scheme == access.ledger_scheme else scheme}://{quote(rest)}"


def ledger_address(path: str, access: SparkAccess) -> str:
    """The address of a path as Spark writes it (URL-encoded, alias scheme, ``file:/``)."""
    return _ledger_form(unquote(path) if "%" in path else path, access)


def _ledger_form(path: str, access: SparkAccess) -> str:
    scheme, _, rest = path.partition(":")
    rest = "//" + rest.lstrip("/") if scheme != "file" else "///" + rest.lstrip("/")
    return f"{access.ledger_scheme if scheme == access.scheme else scheme}:{rest}"


def source_file(path: Any, access: SparkAccess, addresses: Iterable[str] | None = None) -> Any:
    """The same as an expression over the ``file_path`` of Spark's metadata. Where it is about these ``addresses`` only,
    and none of them has a character that Spark writes otherwise, it is much shorter."""
    if addresses is not None and all(map(_UNCHANGED.fullmatch, addresses)):
        return _start_replaced(path, access)
    plain = F.when(F.contains(path, F.lit("%")), F.url_decode(F.replace(path, F.lit("+"), F.lit("%2B")))).otherwise(
        path
    )
    shown = F.decode(F.unhex(F.regexp_extract(path, f"^{LINKS}([0-9a-f]+)", 1)), "UTF-8")
    start, usual = _start(access.ledger_scheme), _start(access.scheme)
    other = F.regexp_replace(plain, f"^{re.escape(access.scheme)}:/+", start)
    linked = F.when(F.startswith(path, F.lit(LINKS)), shown).otherwise(other)
    return F.when(F.startswith(plain, F.lit(usual)), _start_replaced(plain, access)).otherwise(linked)


def _start(scheme: str) -> str:
    return f"{scheme}://" + ("/" if scheme == "file" else "")


def _start_replaced(path: Any, access: SparkAccess) -> Any:
    start, usual = _start(access.ledger_scheme), _start(access.scheme)
    if usual == start:
        return path
    # as bytes: of a text Spark counts the characters, in each row
    rest = F.substring(path.cast("binary"), len(usual) + 1, 2**31 - 1).cast("string")
    return F.concat(F.lit(start), rest)


def named_in(text: str, addresses: Iterable[str], access: SparkAccess) -> str | None:
    """The one of ``addresses`` that an error message of Spark names, if it names one."""
    plain = re.sub(r"\\(.)", r"\1", text)
    written = (text, plain, unquote(text), unquote(plain))
    candidates = []
    for address in addresses:
        path = address.partition("://")[2]
        if any(path in each for each in written) or link_path(address, "") in text:
            candidates.append(address)
    return max(candidates, key=len) if candidates else None
