"""Who changed what of an ingestion, and when: kept where the admin shows an object's history. Names of fields only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from ingestions.models import Ingestion

#: names kept of one edit; a hundred hints at once are told as the first hundred.
FIELDS_KEPT = 100


@dataclass(frozen=True)
class EditRecord:
    """An edit that made ``version`` of the configuration."""

    version: int
    by: str
    at: datetime
    fields: tuple[str, ...]


def edit_record(*, ingestion: Ingestion, user: Any, fields: Sequence[str], version: int) -> None:
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Ingestion),
        object_id=str(ingestion.pk),
        object_repr=ingestion.name[:200],
        action_flag=CHANGE,
        change_message=json.dumps([{"changed": {"fields": list(fields[:FIELDS_KEPT]), "version": version}}]),
    )


def edits_since(*, ingestion: Ingestion, version: int) -> list[EditRecord]:
    """The edits after this version, oldest first."""
    rows = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Ingestion), object_id=str(ingestion.pk), action_flag=CHANGE
    ).select_related("user")
    records = []
    for row in rows.order_by("-pk")[:50]:
        try:
            told = json.loads(row.change_message)[0]["changed"]
            record = EditRecord(told["version"], row.user.get_username(), row.action_time, tuple(told["fields"]))
        except (ValueError, LookupError, TypeError):
            continue  # an entry that is not ours
        if record.version > version:
            records.append(record)
    return records[::-1]
