"""The circuit breaker of a cluster: one that is gone costs one try now and then, not every worker's time."""

from __future__ import annotations

from django.conf import settings

from autoloader.lib.breaker import Breaker, Policy
from autoloader.lib.errors import AutoloaderError, TransientError
from clusters.models import Cluster, ClusterBreaker
from clusters.sessions import target_of

#: errors that say that the cluster itself was not there; others (a busy pool, a lost race, a store) are not its fault.
AWAY = frozenset({"host_unknown", "spark_unavailable", "spark_deadline", "spark_session_lost"})
#: longer than the bounds of opening a session together.
PROBE_SECONDS = 180.0


def policy() -> Policy:
    return Policy(
        failures=max(settings.BREAKER_FAILURES, 1),
        first_wait_seconds=settings.BREAKER_WAIT_SECONDS,
        longest_wait_seconds=settings.BREAKER_LONGEST_WAIT_SECONDS,
        probe_seconds=PROBE_SECONDS,
    )


def cluster_breaker(cluster: Cluster) -> Breaker[ClusterBreaker]:
    return Breaker(
        ClusterBreaker.objects.filter(cluster_id=cluster.pk),
        lambda: ClusterBreaker.objects.get_or_create(cluster_id=cluster.pk),
        policy(),
        what=f"The cluster {cluster.name}",
    )


def is_away(error: AutoloaderError) -> bool:
    return isinstance(error, TransientError) and error.code in AWAY


def knock(cluster: Cluster) -> None:
    """Opens a session, and thus asks the cluster's driver a few small questions. Raises :class:`TransientError` where
    it is away; each step is bounded. Any other answer is one, a refusal too."""
    from clusters.connect import Session  # PySpark is imported only where a session is wanted

    try:
        Session(target_of(cluster)).release()
    except AutoloaderError as error:
        if is_away(error):
            raise


def cluster_try_again(*, cluster: Cluster) -> bool:
    """Closes the breaker: runs that wait for the cluster go on at once. ``False`` where none had to wait."""
    return cluster_breaker(cluster).close()
