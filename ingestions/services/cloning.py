"""A second ingestion like the first, into a table of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from django.db import transaction

from ingestions.models import Ingestion
from ingestions.services.configuration import InvalidConfig
from ingestions.services.editing import laid_over
from ingestions.services.ingestions import ingestion_create
from ingestions.services.lifecycle import own_credentials
from ingestions.services.merging import value_at


def ingestion_clone(*, ingestion: Ingestion, owner: Any, changes: Any = None) -> tuple[Ingestion, tuple[str, ...]]:
    """A draft with this configuration, ``changes`` laid over it, and the warnings.

    Without a name of its own it is called ``X copy``; without a table of its own it loads into ``<table>_copy``, so
    that nothing is loaded twice into one table. Credentials go along and are shown to nobody.
    """
    parts = dict(changes) if isinstance(changes, Mapping) else changes
    if parts is None:
        parts = {}
    if not isinstance(parts, dict):
        raise InvalidConfig([{"loc": "body", "msg": "an object of fields is expected"}])
    with transaction.atomic():
        row = Ingestion.objects.select_for_update().get(pk=ingestion.pk)
        body = laid_over(row.configuration().to_json(), parts, own_credentials(row.credential), replace=False)
        mine = Ingestion.objects.visible_to(owner)
        if "name" not in parts:
            body["name"] = _free(f"{row.name[:190]} copy", " ", lambda name: mine.filter(name=name).exists())
        if value_at(parts, "destination.table") is None and isinstance(body.get("destination"), Mapping):
            body["destination"] = _own_table(row, body["destination"])
        made, warnings = ingestion_create(owner=owner, config=body)
    if made.destination_key == row.destination_key and made.cluster_id == row.cluster_id:
        warnings = (
            *warnings,
            f"{row.name} loads into {row.destination_key} too: files that both read stand there twice",
        )
    return made, warnings


def _own_table(row: Ingestion, destination: Mapping[str, Any]) -> dict[str, Any]:
    def key(table: str) -> str:
        return f"{destination.get('catalog')}.{destination.get('database')}.{table}"

    table = str(destination.get("table"))
    if key(table) != row.destination_key:
        return {**destination}
    taken = Ingestion.objects.filter(cluster=row.cluster)  # anybody's: it is about the table
    return {
        **destination,
        "table": _free(f"{table[:245]}_copy", "_", lambda name: taken.filter(destination_key=key(name)).exists()),
    }


def _free(name: str, between: str, taken: Callable[[str], bool]) -> str:
    """``name``, or the first of ``name 2``, ``name 3``… that is not taken."""
    if not taken(name):
        return name
    return next(other for number in count(2) if not taken(other := f"{name}{between}{number}"))
