"""Schemas as the REST contract writes them; commands with ``--json`` print the same."""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from ingestions.models import SchemaChange, SchemaVersion
from ingestions.models.schema import SchemaChangeQuerySet
from ingestions.services.present import instant
from ingestions.services.schema_review import Decided

FILES_SHOWN = 1000


def version(row: SchemaVersion) -> dict[str, Any]:
    return {
        "id": row.pk,
        "ingestion_id": str(row.ingestion_id),
        "destination": row.destination_key,
        "number": row.number,
        "columns": [{"name": name, "type": type_} for name, type_ in row.columns],
        "ddl": list(row.ddl),
        "files": list(row.files),
        "note": row.note,
        "run_id": str(row.run_id) if row.run_id else None,
        "actor": row.actor.get_username() if row.actor else None,
        "created_at": instant(row.created_at),
    }


def changes(rows: SchemaChangeQuerySet) -> SchemaChangeQuerySet:
    """The queryset with all that :func:`change` shows beside the files."""
    return rows.select_related("decided_by", "version").annotate(shown_files=Count("files"))


def change(row: SchemaChange) -> dict[str, Any]:
    count = vars(row).get("shown_files")
    return {
        "id": row.pk,
        "ingestion_id": str(row.ingestion_id),
        "destination": row.destination_key,
        "number": row.number,
        "status": row.status,
        "changes": list(row.changes),
        "ddl": list(row.ddl),
        "files": list(row.files.order_by("pk").values_list("address", flat=True)[:FILES_SHOWN]),
        "files_count": row.files.count() if count is None else count,
        "run_id": str(row.run_id) if row.run_id else None,
        "schema_version": row.version.number if row.version else None,
        "decided_by": row.decided_by.get_username() if row.decided_by else None,
        "decided_at": instant(row.decided_at),
        "created_at": instant(row.created_at),
    }


def decided(row: Decided) -> dict[str, Any]:
    return {**change(row.change), "files_released": row.files, "effect": row.effect}
