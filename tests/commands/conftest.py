from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Ingestion
from tests.cast import cluster, make_cluster, make_ingestion, owner, stranger, superuser

__all__ = ["cluster", "owner", "stranger", "superuser"]


@pytest.fixture
def everybodys(db: None) -> Cluster:
    return make_cluster(None)


@pytest.fixture
def feed(superuser: User, everybodys: Cluster) -> Ingestion:
    """The only administrator's."""
    return make_ingestion(superuser, everybodys)
