"""Whose secrets a posted configuration is looked at with."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from autoloader.lib.errors import ConfigError
from clusters.models import Cluster
from ingestions.models import Ingestion
from ingestions.services.ingestions import ingestion_create
from ingestions.services.looking import subject_posted
from tests.cast import cluster, configuration, owner

__all__ = ["cluster", "owner"]

HELD = {"aws_access_key_id": "AKIDHELD", "aws_secret_access_key": "held"}


def body(cluster: Cluster, **credentials: str) -> dict[str, Any]:
    given = configuration(cluster)
    return {**given, "source": {**given["source"], "credentials": credentials}} if credentials else given


@pytest.fixture
def kept(owner: User, cluster: Cluster) -> Ingestion:
    return ingestion_create(owner=owner, config=body(cluster, **HELD))[0]


def secret(cluster: Cluster, owner: User, ingestion: Ingestion | None, **credentials: str) -> str | None:
    found = subject_posted(body=body(cluster, **credentials), user=owner, ingestion=ingestion).credentials
    return found.aws_secret_access_key if found else None


def test_stars_stand_for_the_secrets_that_are_kept(owner: User, cluster: Cluster, kept: Ingestion) -> None:
    assert secret(cluster, owner, kept, aws_access_key_id="***", aws_secret_access_key="***") == "held"


def test_what_is_written_counts_before_what_is_kept(owner: User, cluster: Cluster, kept: Ingestion) -> None:
    assert secret(cluster, owner, kept, aws_access_key_id="AKIDNEW", aws_secret_access_key="new") == "new"


def test_without_any_the_kept_ones_are_used(owner: User, cluster: Cluster, kept: Ingestion) -> None:
    assert secret(cluster, owner, kept) == "held"


def test_stars_without_anything_kept_are_refused(owner: User, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="there is none to keep"):
        secret(cluster, owner, None, aws_access_key_id="***", aws_secret_access_key="***")
