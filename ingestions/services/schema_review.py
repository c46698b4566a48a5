"""What a person decides about changes of a table's columns that the mode ``review`` asks about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from autoloader.lib.errors import ConflictError, NotFoundError
from autoloader.lib.words import plural
from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, SchemaChange, SchemaVersion
from ingestions.models.schema import SchemaChangeQuerySet
from ingestions.services.questions import Questions, release


@dataclass(frozen=True)
class Decided:
    """``files``: those that wait for nothing more, so that the next run loads them."""

    change: SchemaChange
    files: int

    @property
    def effect(self) -> str:
        count = plural(self.files, "file")
        if self.change.status == SchemaChange.Status.APPROVED:
            return f"The next run changes the table and loads {count}."
        return f"The next run loads {count}; the values of these fields stand in _rescued_data, from now on."


def change_approve(*, change: SchemaChange, user: Any) -> Decided:
    """The next run alters the table and loads the files. ConflictError where it is decided already."""
    return _decide(change, SchemaChange.Status.APPROVED, user)


def change_reject(*, change: SchemaChange, user: Any) -> Decided:
    """The files are loaded; the values of these fields are rescued, in later files too. ConflictError where it is
    decided already."""
    return _decide(change, SchemaChange.Status.REJECTED, user)


def _decide(change: SchemaChange, status: SchemaChange.Status, user: Any) -> Decided:
    with transaction.atomic():
        mine = SchemaChange.objects.select_for_update().filter(pk=change.pk).pending()
        files = release(mine)
        if not mine.update(status=status, decided_by=user, decided_at=timezone.now()):
            change.refresh_from_db()
            raise ConflictError(
                "change_decided",
                f"Schema change #{change.number} is {change.status} already.",
                "Nothing was changed. What was rejected can still be added: ALTER TABLE on the cluster.",
            )
        questions(change.ingestion, change.destination_key).count()
    change.refresh_from_db()
    return Decided(change, files)


def questions(ingestion: Ingestion, destination_key: str) -> Questions:
    return Questions(ingestion.pk, destination_key, None, timezone.now())


def changes_of_table(ingestion: Ingestion) -> SchemaChangeQuerySet:
    """Of the table the ingestion has now, the newest first."""
    return SchemaChange.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key).select_related(
        "ingestion", "decided_by", "version"
    )


def change_numbered(*, ingestion: Ingestion, number: int) -> SchemaChange:
    found = changes_of_table(ingestion).filter(number=number).first()
    if found is None:
        raise NotFoundError(
            "schema_change_not_found",
            f"{ingestion.name} has no schema change #{number} of {ingestion.destination_key}.",
            "List them for their numbers.",
        )
    return found


def files_waiting(change: SchemaChange, limit: int) -> list[LedgerEntry]:
    return list(change.files.filter(state=State.DISCOVERED).order_by("pk")[:limit])


def versions_of_table(ingestion: Ingestion) -> Any:
    """Versions of the schema of the table the ingestion has now, the newest first."""
    return SchemaVersion.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key).select_related(
        "actor", "run"
    )
