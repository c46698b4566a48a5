"""Browsers of the cast, without a browser: what the server answers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.cast import cluster, ingestion, owner, queries_of, run, stranger, superuser

__all__ = ["cluster", "ingestion", "owner", "queries_of", "run", "stranger", "superuser"]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def browser(owner: User) -> Client:
    """The owner's."""
    return signed_in(owner)


@pytest.fixture
def strangers_browser(stranger: User) -> Client:
    return signed_in(stranger)
