"""An ingestion's source, opened with the access that it was given."""

from __future__ import annotations

from django.conf import settings

from ingestions.engine import sources
from ingestions.engine.config import Credentials, IngestionConfig
from ingestions.engine.sources.base import Source
from ingestions.models import Ingestion


def source_of(ingestion: Ingestion, config: IngestionConfig) -> Source:
    """With the ingestion's credential. Errors are the source's."""
    credential = ingestion.credential
    return source_with(config, credential.credentials() if credential else None)


def source_with(config: IngestionConfig, credentials: Credentials | None) -> Source:
    return sources.open_source(
        config.source,
        credentials,
        local_roots=settings.LOCAL_ROOTS,
        allowed_networks=settings.ALLOWED_NETWORKS,
        alias_key=settings.SECRET_KEY,
    )
