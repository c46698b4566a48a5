"""A path as a person writes it, taken apart: the folder that keys are relative to, and the pattern below it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.sources.patterns import literal_start, split_glob

_FIELD = "source.path"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class Location:
    """``base`` is a folder's ledger address with its last ``/`` (``s3://bucket/in/``, ``file:///in/``); ``glob`` is
    the path's own pattern below it. ``open_end``: the path may also name one object (no ``/`` at its end, no glob).
    """

    base: str
    glob: str | None = None
    open_end: bool = False

    @property
    def bucket(self) -> str:
        return self.base.partition("://")[2].partition("/")[0]

    @property
    def prefix(self) -> str:
        """What every wanted key starts with: below the bucket for a cloud, the absolute folder for local files."""
        key = self.base.partition("://")[2].partition("/")[2]
        return key + literal_start(self.glob or "")

    def relative(self, address: str) -> str:
        """The key below the folder; the plain name for the one object that the path names itself."""
        if address.startswith(self.base):
            return address[len(self.base) :]
        return address.rsplit("/", 1)[-1]


def locate(source: config.Source) -> Location:
    """Takes ``source.path`` apart and checks its form. Raises ConfigError; asks no store."""
    location = _local(source.path) if source.type == "local" else _remote(source)
    parts = location.base.partition("://")[2].split("/")
    if ".." in parts or "." in parts or ".." in (location.glob or "").split("/"):
        raise _invalid(f"The path {source.path!r} has a “.” or “..” in it.", "Write the path without it.")
    if any(part == "" for part in parts[1:-1]):
        raise _invalid(f"The path {source.path!r} has an empty folder name in it.", "Write one / between names.")
    return location


def _local(path: str) -> Location:
    plain = path
    if path.lower().startswith("file:"):
        plain = path[5:]
        if plain.startswith("//"):
            host, _, rest = plain[2:].partition("/")
            if host not in ("", "localhost"):
                raise _invalid(f"The path {path!r} names a host.", "Write file:///folder for a folder of this machine.")
            plain = f"/{rest}"
    if not plain.startswith("/") or "\x00" in plain:
        raise _invalid(
            f"The path {path!r} is not absolute.", "Write it from the root, like /data/in or file:///data/in."
        )
    folder, glob = split_glob(re.sub("/{2,}", "/", plain))
    return _location(f"file://{folder}", glob)


def _remote(source: config.Source) -> Location:
    schemes = {"s3": ("s3", "s3a", "s3n"), "gcs": ("gs", "gcs"), "azure_blob": ("abfss", "abfs", "wasbs", "https")}
    scheme, separator, rest = source.path.partition("://")
    own = schemes[source.type]
    if not separator or scheme.lower() not in own:
        raise _invalid(
            f"The path {source.path!r} does not start with {own[0]}://.", f"Write it like {own[0]}://bucket/folder/."
        )
    bucket, _, key = rest.partition("/")
    if "@" in bucket and source.type != "azure_blob":
        raise _invalid("The path holds keys or a user's name.", "Write the bucket only; keys go into the credentials.")
    if not _BUCKET.fullmatch(bucket):
        raise _invalid(f"{bucket!r} is not the name of a bucket.", f"Write the path like {own[0]}://bucket/folder/.")
    folder, glob = split_glob(key)
    return _location(f"{own[0]}://{bucket}/{folder}", glob)


def _location(address: str, glob: str | None) -> Location:
    if address.endswith("/"):
        return Location(address, glob)
    return Location(f"{address}/", glob, open_end=True)


def _invalid(message: str, hint: str) -> ConfigError:
    return ConfigError("invalid_path", message, hint, field=_FIELD)
