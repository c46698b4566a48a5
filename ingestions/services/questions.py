"""Versions of a table's schema, and the changes of it that wait for a person. Called inside one fenced transaction of
the store."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Max

from autoloader.lib.chunks import chunks
from autoloader.lib.words import plural
from ingestions.engine.ledger import Asked, BatchState, NewSchema, State
from ingestions.engine.schema.diff import Change, Path
from ingestions.engine.schema.policy import Decisions
from ingestions.engine.schema.types import Type
from ingestions.models import Ingestion, LedgerEntry, Run, SchemaChange, SchemaVersion
from ingestions.models.schema import SchemaChangeQuerySet

_APPROVED = (SchemaChange.Status.APPROVED, SchemaChange.Status.APPLIED)


@dataclass(frozen=True)
class Questions:
    """Those of one ingestion about one table; ``run_id`` is the run that asks or answers."""

    ingestion_id: uuid.UUID
    destination_key: str
    run_id: uuid.UUID | None
    now: datetime

    def _all(self) -> SchemaChangeQuerySet:
        return SchemaChange.objects.filter(ingestion_id=self.ingestion_id, destination_key=self.destination_key)

    def pending(self) -> SchemaChangeQuerySet:
        return self._all().pending()

    def decisions(self) -> Decisions:
        """The latest word on each field."""
        approved: dict[Path, Type | None] = {}
        rejected: set[Path] = set()
        pending: dict[Path, int] = {}
        for row in self._all().exclude(status=SchemaChange.Status.WITHDRAWN).order_by("number"):
            for change in changes_of(row):
                approved.pop(change.key, None)
                rejected.discard(change.key)
                if row.status in _APPROVED:
                    approved[change.key] = change.type
                elif row.status == SchemaChange.Status.REJECTED:
                    rejected.add(change.key)
                else:
                    pending[change.key] = row.number
        return Decisions(approved, frozenset(rejected), pending)

    def ask(self, batch: BatchState, asked: Sequence[Asked]) -> None:
        waits: dict[int, list[int]] = defaultdict(list)
        for each in asked:
            row = self._row(each)
            row.files.add(*each.entry_ids)
            for entry_id in each.entry_ids:
                waits[entry_id].append(row.number)
        by_numbers: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for entry_id, waited in waits.items():
            by_numbers[tuple(sorted(waited))].append(entry_id)
        held = 0
        for numbers, ids in by_numbers.items():
            for part in chunks(ids):
                held += LedgerEntry.objects.filter(id__in=part, batch_id=batch.id, state=State.CLAIMED).update(
                    state=State.DISCOVERED,
                    reason=waiting_for(numbers),
                    batch=None,
                    run_id=self.run_id,
                    state_changed_at=self.now,
                )
        if self.run_id is not None:
            Run.objects.filter(pk=self.run_id).update(files_held=F("files_held") + held)
        self.count()

    def _row(self, asked: Asked) -> SchemaChange:
        """The question that is asked already, or a new one."""
        if asked.question.number is not None:
            return self._all().get(number=asked.question.number)
        last: int | None = self._all().aggregate(last=Max("number"))["last"]
        return SchemaChange.objects.create(
            ingestion_id=self.ingestion_id,
            destination_key=self.destination_key,
            number=(last or 0) + 1,
            changes=[change.to_json() for change in asked.question.changes],
            ddl=list(asked.ddl),
            run_id=self.run_id,
        )

    def withdraw(self) -> None:
        rows = self.pending()
        release(rows)
        rows.update(status=SchemaChange.Status.WITHDRAWN, decided_at=self.now)
        self.count()

    def count(self) -> None:
        """Pages show it without counting."""
        Ingestion.objects.filter(pk=self.ingestion_id, destination_key=self.destination_key).update(
            changes_pending=self.pending().count()
        )

    def version(self, made: NewSchema) -> None:
        versions = SchemaVersion.objects.filter(ingestion_id=self.ingestion_id, destination_key=self.destination_key)
        last = versions.first()
        columns = [list(column) for column in made.columns]
        if last is None or last.columns != columns:  # else this step was done before a crash
            answered = [row for row in self._approved() if made.applied & {change.key for change in changes_of(row)}]
            last = SchemaVersion.objects.create(
                ingestion_id=self.ingestion_id,
                destination_key=self.destination_key,
                number=last.number + 1 if last else 1,
                columns=columns,
                ddl=list(made.ddl),
                files=list(made.files),
                note=made.note[:500],
                run_id=self.run_id,
                actor_id=answered[0].decided_by_id if answered else None,
            )
        for row in self._approved():
            if made.applied & {change.key for change in changes_of(row)}:
                self._all().filter(pk=row.pk).update(status=SchemaChange.Status.APPLIED, version=last)

    def _approved(self) -> SchemaChangeQuerySet:
        return self._all().filter(status=SchemaChange.Status.APPROVED)


def changes_of(row: SchemaChange) -> tuple[Change, ...]:
    return tuple(Change.from_json(each) for each in row.changes)


def waiting_for(numbers: Iterable[int]) -> str:
    """The reason of a file that waits."""
    return "waiting for schema change " + " and ".join(f"#{number}" for number in numbers)


def held_back(files: int) -> str:
    """What a run says of files that it leaves alone."""
    return f"{plural(files, 'file')} {'waits' if files == 1 else 'wait'} for a decision about a schema change."


def release(changes: SchemaChangeQuerySet) -> int:
    """The files that wait for these changes lose the reason, or have that of the others they wait for; how many wait
    for nothing more."""
    deciding = set(changes.values_list("pk", flat=True))
    rows = SchemaChange.files.through.objects.filter(
        ledgerentry__schema_changes__in=deciding,
        ledgerentry__state=State.DISCOVERED,
        schemachange__status=SchemaChange.Status.PENDING,
    )
    left: dict[int, set[int]] = defaultdict(set)
    for entry_id, change_id, number in rows.values_list("ledgerentry_id", "schemachange_id", "schemachange__number"):
        left[entry_id] |= {number} if change_id not in deciding else set()
    by_numbers: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for entry_id, others in left.items():
        by_numbers[tuple(sorted(others))].append(entry_id)
    for numbers, ids in by_numbers.items():
        reason = waiting_for(numbers) if numbers else ""
        for part in chunks(ids):
            LedgerEntry.objects.filter(pk__in=part).update(reason=reason)
    return len(by_numbers.get((), []))
