"""The verbs of a cluster. A token goes in here and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import ConfigError, ConflictError
from clusters.breaker import cluster_try_again
from clusters.models import Cluster
from clusters.probe import Probe, probe
from clusters.sessions import target_of
from clusters.url import MASK, parse

FIELDS = frozenset(
    {
        "name",
        "spark_connect_url",
        "token",
        "workers",
        "dbu_per_worker",
        "default_catalog",
        "price_dbu_hour",
        "price_storage_gb_month",
        "currency",
        "max_runs",
    }
)


def cluster_create(*, owner: Any, **values: Any) -> Cluster:
    """``values``: of :data:`FIELDS`, at least ``name`` and ``spark_connect_url``; prices default to the settings'.

    Raises :class:`ConfigError` with the field at fault; nothing is kept then.
    """
    cluster = Cluster(
        owner=owner,
        price_dbu_hour=settings.COST_PER_DBU_HOUR,
        price_storage_gb_month=settings.STORAGE_COST_PER_GB,
    )
    for needed in ("name", "spark_connect_url"):
        if not values.get(needed):
            raise ConfigError("missing_field", f"A cluster needs its {needed}.", "Give it.", field=needed)
    _apply(cluster, values)
    cluster.save()
    return cluster


def cluster_update(*, cluster: Cluster, check_only: bool = False, **values: Any) -> Cluster:
    """Changes the given fields; with ``check_only`` it only raises what a change would raise. ``token``: ``***`` keeps
    the one that is set, ``None`` or empty takes it away.

    A token is for one address: a new host or port without a new token is refused while one is set, so that nobody who
    may edit a cluster can have its token sent elsewhere.
    """
    with transaction.atomic():
        locked = Cluster.objects.select_for_update().get(pk=cluster.pk)
        before = locked.url
        _apply(locked, values)
        if locked.token and not _brings_token(values):
            _refuse_moved_token(before, locked.url)
        if check_only:
            return locked
        if locked.url != before:
            locked.last_test, locked.last_test_at = None, None
            cluster_try_again(cluster=locked)  # what was said of the old address says nothing of the new one
        locked.save()
    return locked


def _brings_token(values: Mapping[str, Any]) -> bool:
    """Whether these values say what the token is from now on."""
    url = values.get("spark_connect_url")
    in_url = parse(url, default_port=1).token if url is not None else None
    return bool(in_url) or values.get("token", MASK) != MASK


def _refuse_moved_token(before: str, after: str) -> None:
    port = settings.SPARK_CONNECT_DEFAULT_PORT
    if parse(before, default_port=port).endpoint != parse(after, default_port=port).endpoint:
        raise ConfigError(
            "token_needed",
            "The cluster gets another address, and its token is for the old one.",
            "Enter the token again together with the new URL.",
            field="token",
        )


def cluster_delete(*, cluster: Cluster) -> None:
    """Refused while ingestions use it, and for the embedded one, which the next start would bring back."""
    if cluster.is_embedded:
        raise ConflictError(
            "embedded_cluster",
            "The embedded cluster belongs to this installation.",
            "Start without it, or leave it unused.",
        )
    try:
        cluster.delete()
    except ProtectedError as error:
        raise ConflictError(
            "cluster_in_use",
            f"The cluster {cluster.name!r} is used by {len(error.protected_objects)} ingestions.",
            "Move or delete these first.",
        ) from None


def cluster_test(*, cluster: Cluster, budget_seconds: float = 180.0, bounded: Bounded | None = None) -> Probe:
    """Tests the connection and keeps the outcome with the cluster. ``bounded`` limits how many tests a process makes
    at once; only the test itself runs there, as a thread of its own would need a database connection of its own."""
    target, catalog = target_of(cluster), cluster.default_catalog

    def work() -> Probe:
        return probe(target, catalog=catalog, budget_seconds=budget_seconds)

    result = bounded.call(work) if bounded else work()
    cluster.last_test, cluster.last_test_at = result.to_json(), timezone.now()
    # Only if it still is the cluster that was tested.
    Cluster.objects.filter(pk=cluster.pk, url=cluster.url).update(
        last_test=cluster.last_test, last_test_at=cluster.last_test_at
    )
    if result.ok:
        cluster_try_again(cluster=cluster)
    return result


def _apply(cluster: Cluster, values: Mapping[str, Any]) -> None:
    if unknown := set(values) - FIELDS:
        raise ConfigError("unknown_field", f"A cluster has no {sorted(unknown)[0]}.", "Leave it out.")
    token = values.get("token", MASK)
    if values.get("spark_connect_url") is not None:
        if cluster.is_embedded:
            raise ConfigError(
                "embedded_cluster",
                "The address of the embedded cluster is its own.",
                "Add another cluster instead.",
                field="spark_connect_url",
            )
        parts = parse(values["spark_connect_url"], default_port=settings.SPARK_CONNECT_DEFAULT_PORT)
        cluster.url = str(parts)
        token = parts.token or token
    if token != MASK:
        cluster.token = token or None
    for name in FIELDS - {"token", "spark_connect_url"}:
        if values.get(name) is not None:
            setattr(cluster, name, values[name])
    cluster.max_runs = cluster.max_runs or None
    _check(cluster)


def _check(cluster: Cluster) -> None:
    cluster.name = cluster.name.strip()
    checks = (
        ("name", 0 < len(cluster.name) <= 200, "has 1 to 200 characters"),
        ("spark_connect_url", len(cluster.url) <= 1000, "has at most 1,000 characters"),
        ("workers", cluster.workers >= 1, "is at least 1"),
        ("max_runs", (cluster.max_runs or 1) >= 1, "is at least 1, or 0 for no bound"),
        ("dbu_per_worker", cluster.dbu_per_worker >= 0, "is not negative"),
        ("price_dbu_hour", cluster.price_dbu_hour >= 0, "is not negative"),
        ("price_storage_gb_month", cluster.price_storage_gb_month >= 0, "is not negative"),
        ("currency", len(cluster.currency) == 3 and cluster.currency.isalpha(), "is a code of three letters, as USD"),
        ("default_catalog", len(cluster.default_catalog) <= 255, "has at most 255 characters"),
    )
    for name, ok, rule in checks:
        if not ok:
            raise ConfigError("invalid_cluster", f"The {name} of a cluster {rule}.", "Correct it.", field=name)
    cluster.currency = cluster.currency.upper()
