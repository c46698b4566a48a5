"""From what a person posted to a configuration that can be kept: checks beyond the types, and honest warnings."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pydantic import ValidationError

from autoloader.lib import spark_formats
from autoloader.lib.errors import ConfigError
from clusters.models import Cluster
from ingestions.engine import formats, recipients, rules, sources
from ingestions.engine.config import MASK, Credentials, IngestionConfig, split_secrets
from ingestions.models import Credential


class InvalidConfig(ConfigError):
    """The body does not validate: ``errors`` has a ``{"loc", "msg"}`` for each fault (REST answers 422)."""

    status = 422

    def __init__(self, errors: list[dict[str, str]]) -> None:
        first = errors[0]
        super().__init__(
            "invalid_configuration",
            f"The configuration is not valid: {first['loc']}: {first['msg']}"
            + (f" ({len(errors) - 1} more)" if len(errors) > 1 else ""),
            "Correct the fields named; nothing was changed.",
            field=first["loc"],
        )
        self.errors = errors


@dataclass(frozen=True)
class Checked:
    """A configuration fit to be kept, its secrets apart."""

    config: IngestionConfig
    cluster: Cluster
    credentials: Credentials | None
    credential: Credential | None
    warnings: tuple[str, ...]


def parse(body: Any) -> IngestionConfig:
    """The model of a posted body or YAML document. Raises :class:`InvalidConfig`; no input value stands in it."""
    try:
        return IngestionConfig.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidConfig(
            [{"loc": ".".join(str(part) for part in fault["loc"]), "msg": _plain(fault)} for fault in faults]
        ) from None


def _plain(fault: Any) -> str:
    return "There is no such field" if fault["type"] == "extra_forbidden" else str(fault["msg"])


def check(*, body: Any, user: Any) -> Checked:
    """Everything that can be known without asking the cluster or the store."""
    config, credentials = split_secrets(parse(body))
    cluster = _cluster(config, user)
    credential = _credential(config, credentials, user)
    if credential is None and credentials is not None:
        _refuse_masks(credentials)
    rules.check(config)
    rules.check_credentials(config.source.type, credentials)
    formats.validate(config.format)
    sources.validate(config.source, credentials, local_roots=settings.LOCAL_ROOTS)
    _check_reads(config, cluster)
    if config.source.type == "local" and not cluster.is_embedded:
        raise ConfigError(
            "local_needs_embedded",
            f"The cluster {cluster.name!r} cannot read files of this machine.",
            "Use the embedded cluster for local files, or put the files into object storage.",
            field="source.type",
        )
    return Checked(config, cluster, credentials, credential, tuple(_inactive(config)))


def _check_reads(config: IngestionConfig, cluster: Cluster) -> None:
    """Refuses a format that the cluster had no reader for when it was last tested; a run asks it again."""
    tested = cluster.last_test or {}
    known, version = tested.get("formats") or [], str(tested.get("spark_version") or "")
    format_ = config.format.type
    if known and version and format_ in spark_formats.jars(version) and format_ not in known:
        message, hint = spark_formats.lacking(format_, version)
        raise ConfigError("format_not_on_cluster", message, hint, field="format.type")


def _cluster(config: IngestionConfig, user: Any) -> Cluster:
    visible = Cluster.objects.visible_to(user)
    try:
        cluster = visible.filter(pk=uuid.UUID(config.cluster_id)).first()
    except ValueError:
        cluster = visible.filter(name=config.cluster_id).first()
    if cluster is None:
        raise ConfigError(
            "unknown_cluster",
            f"There is no cluster {config.cluster_id!r}.",
            "List the clusters with GET /api/v1/clusters or `manage.py cluster list`.",
            field="cluster_id",
        )
    return cluster


def _credential(config: IngestionConfig, inline: Credentials | None, user: Any) -> Credential | None:
    wanted = config.source.credential_id
    if wanted is None:
        return None
    if inline is not None and not _all_masked(inline):
        raise ConfigError(
            "two_credentials",
            "Both source.credentials and source.credential_id are given.",
            "Give one of them: kept credentials that others may share are never changed by an ingestion's own parts.",
            field="source.credential_id",
        )
    try:
        credential = Credential.objects.visible_to(user).filter(pk=uuid.UUID(wanted)).first()
    except ValueError:
        credential = None
    if credential is None:
        raise ConfigError("unknown_credential", f"There is no credential {wanted!r}.", "", field="source.credential_id")
    return credential


def _refuse_masks(credentials: Credentials) -> None:
    """``***`` keeps a secret where there is one to keep; as a secret it would be a mistake."""
    for name, value in credentials.model_dump(exclude_defaults=True).items():
        if value == MASK:
            raise ConfigError(
                "secret_missing",
                f"{name} is {MASK}, which keeps a secret that is set, and there is none to keep.",
                "Give the secret itself.",
                field=f"source.credentials.{name}",
            )


def _all_masked(credentials: Credentials) -> bool:
    given = [value for value in credentials.model_dump(exclude_defaults=True).values() if isinstance(value, str)]
    return bool(given) and all(value == MASK for value in given)


#: fields that are kept for later: (dotted path, value that means "not used").
_LATER: tuple[tuple[str, Any], ...] = (
    ("source.after_load.action", "keep"),
    ("transform.sql", None),
    ("limits.monthly_budget", None),
    ("quality.row_count_threshold", None),
    ("quality.expectations", []),
)
_ONLY: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("source.discovery", ("auto", "full", "incremental")),
    ("engine", ("batch",)),
)


def inactive(config: IngestionConfig) -> tuple[str, ...]:
    """A sentence for each field that is kept for later."""
    return tuple(_inactive(config))


def _inactive(config: IngestionConfig) -> Iterator[str]:
    """A field whose feature is not there yet is kept, and answered with a warning, never silently."""
    document = config.to_json()

    def value(path: str) -> Any:
        found: Any = document
        for part in path.split("."):
            found = found[part]
        return found

    for path, unused in _LATER:
        if value(path) != unused:
            yield f"{path} is not active yet"
    for path, active in _ONLY:
        if value(path) not in active:
            yield f"{path} {value(path)!r} is not active yet"
    yield from _untold(config)


def _untold(config: IngestionConfig) -> Iterator[str]:
    """Alerts that would reach nobody."""
    named = config.quality.alert_recipients
    if config.quality.alerts_enabled and not named:
        yield "quality.alerts_enabled tells nobody: quality.alert_recipients is empty"
    if config.quality.alerts_enabled and not settings.EMAIL_HOST and not all(map(recipients.is_webhook, named)):
        yield "quality.alert_recipients has e-mail addresses, and no mail server is set up (EMAIL_HOST)"
