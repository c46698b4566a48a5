"""The embedded server as a cluster that people can choose."""

from __future__ import annotations

from django.conf import settings

from clusters.breaker import cluster_try_again
from clusters.embedded import CATALOG, HOST
from clusters.models import Cluster


def register_embedded(port: int) -> Cluster:
    """The one embedded cluster, at this port. What people changed on it (name, prices) stays as they left it."""
    url = f"sc://{HOST}:{port}"
    cluster, _ = Cluster.objects.update_or_create(
        is_embedded=True,
        defaults={"url": url},
        create_defaults={
            "url": url,
            "name": "Embedded Spark",
            "owner": None,
            "workers": 1,
            "dbu_per_worker": 1,
            "price_dbu_hour": settings.COST_PER_DBU_HOUR,
            "price_storage_gb_month": settings.STORAGE_COST_PER_GB,
            "default_catalog": CATALOG,
        },
    )
    cluster_try_again(cluster=cluster)  # the server was started just now
    return cluster
