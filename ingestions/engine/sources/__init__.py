"""Where files come from. One module a store, the only importer of its SDK; a store is added by one entry below.

A store's module brings ``validate`` (form only, asks nothing) and ``open_`` for its type; see :mod:`.base` for what
an open source can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoloader.lib.errors import ConfigError
from autoloader.lib.network import check_endpoint, check_endpoint_form
from ingestions.engine import config
from ingestions.engine.sources import local, s3_access
from ingestions.engine.sources.base import Source, SparkAccess
from ingestions.engine.sources.local import LocalSource
from ingestions.engine.sources.location import Location, locate
from ingestions.engine.sources.patterns import select
from ingestions.engine.sources.s3 import S3Source

__all__ = ["available_types", "no_access", "open_source", "validate"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the installation allows: folders of this machine, private networks; and the key that makes aliases."""

    local_roots: Sequence[str]
    allowed_networks: Sequence[str]
    alias_key: str

    def __repr__(self) -> str:
        return "Surroundings(…)"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of store. ``ledger_scheme`` starts its ledger addresses."""

    ledger_scheme: str
    open_: Callable[[Location, config.Credentials, Surroundings], Source]
    validate: Callable[[Location, config.Credentials | None, Sequence[str]], None]


def _open_local(location: Location, credentials: config.Credentials, around: Surroundings) -> Source:
    return LocalSource(location, around.local_roots)


def _validate_local(location: Location, credentials: config.Credentials | None, local_roots: Sequence[str]) -> None:
    local.check_roots(location, local_roots)


def _open_s3(location: Location, credentials: config.Credentials, around: Surroundings) -> Source:
    if credentials.endpoint_url:
        check_endpoint(credentials.endpoint_url, around.allowed_networks)
    return S3Source(location, s3_access.S3Access(credentials, around.alias_key))


def _validate_s3(location: Location, credentials: config.Credentials | None, local_roots: Sequence[str]) -> None:
    if credentials is not None:
        s3_access.check_credentials(credentials)
        if credentials.endpoint_url:
            check_endpoint_form(credentials.endpoint_url)


_KINDS: dict[str, Kind] = {
    "local": Kind("file", _open_local, _validate_local),
    "s3": Kind("s3", _open_s3, _validate_s3),
}


def available_types() -> tuple[str, ...]:
    """Types of ``source.type`` that can be opened now."""
    return tuple(_KINDS)


def _kind(type_: str) -> Kind:
    if type_ not in _KINDS:
        raise ConfigError(
            "source_not_available",
            f"The source type {type_!r} is not available yet.",
            f"Use one of: {', '.join(_KINDS)}.",
            field="source.type",
        )
    return _KINDS[type_]


def validate(source: config.Source, credentials: config.Credentials | None, *, local_roots: Sequence[str]) -> None:
    """Everything about a source that can be known without the network. Raises ConfigError with the field at fault."""
    kind = _kind(source.type)
    location = locate(source)
    select(location.glob, source.file_pattern, source.exclude_pattern)
    kind.validate(location, credentials, local_roots)
    if source.after_load.to is not None:
        _validate_archive(kind, source, location, local_roots)


def _validate_archive(kind: Kind, source: config.Source, location: Location, local_roots: Sequence[str]) -> None:
    """Loaded files go to a folder of the same store, and not to where they would be found again."""
    field = "source.after_load.to"
    try:
        archive = locate(source.model_copy(update={"path": source.after_load.to}))
        kind.validate(archive, None, local_roots)
    except ConfigError as error:
        raise ConfigError(error.code, error.message, error.hint, field=field) from None
    if archive.glob is not None or archive.base.startswith(location.base):
        raise ConfigError(
            "invalid_path",
            "The archive is a pattern, or lies in the folder that is loaded: its files would be found again.",
            "Give a folder beside it.",
            field=field,
        )


def open_source(
    source: config.Source,
    credentials: config.Credentials | None,
    *,
    local_roots: Sequence[str],
    allowed_networks: Sequence[str],
    alias_key: str,
) -> Source:
    """Opens the store that ``source`` names. ConfigError for what is configured wrong or not allowed here, AccessError
    for an endpoint that cannot be resolved or a role that may not be assumed. The caller closes it.
    """
    kind = _kind(source.type)
    around = Surroundings(local_roots, allowed_networks, alias_key)
    return kind.open_(locate(source), credentials or config.Credentials(), around)


def no_access(source: config.Source) -> SparkAccess:
    """For looking at a table only: the ledger's scheme, and no right to read any file."""
    scheme = _kind(source.type).ledger_scheme
    return SparkAccess(scheme=scheme, ledger_scheme=scheme)
