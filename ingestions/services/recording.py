"""What a listing writes into the ledger: many rows at once, in few statements."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, ForeignKey

from autoloader.lib.chunks import chunks
from ingestions.engine.ledger import REPLACED, Known, ListingEnd, NewEntry, Revision, State
from ingestions.models import LedgerEntry, Listing, Run
from ingestions.models.ledger import LedgerQuerySet

_COLUMNS = (
    "address", "version", "size_bytes", "modified_at", "state", "reason", "cause", "run_id", "ingestion_id",
    "destination_key", "error_code", "checksum", "discovered_at", "state_changed_at",
)  # fmt: skip
_UNLESS_THERE = "ON CONFLICT DO NOTHING"
#: types of the columns that differ from row to row; the others are the same for all of them.
_TYPES = ("text", "varchar", "bigint", "timestamptz", "varchar", "text", "varchar", "uuid")


def known(ledger: LedgerQuerySet, addresses: Sequence[str]) -> dict[str, list[Known]]:
    """All versions of these addresses, each one's oldest first."""
    found: dict[str, list[Known]] = defaultdict(list)
    for part in chunks(addresses):
        rows = ledger.filter(address__in=part).order_by()
        for row in rows.values_list("address", "version", "state", "pk", "cause", "state_changed_at"):
            found[row[0]].append(Known(row[0], row[1], _STATES[row[2]], *row[3:]))
    for versions in found.values():
        if len(versions) > 1:
            versions.sort(key=lambda each: each.id)
    return found


_STATES = {state.value: state for state in State}


@dataclass(frozen=True)
class Recording:
    """Of one run. Each method is part of the caller's transaction."""

    ingestion_id: uuid.UUID
    destination_key: str
    run_id: uuid.UUID
    now: datetime

    def _ledger(self) -> LedgerQuerySet:
        return LedgerEntry.objects.filter(ingestion_id=self.ingestion_id, destination_key=self.destination_key)

    def record(self, entries: Sequence[NewEntry]) -> int:
        """How many of these versions are new. Earlier ones that still wait are SKIPPED."""
        first = [entry for entry in entries if entry.first]
        added = self._insert(first)
        if added == len(first):
            self._count_skipped(sum(entry.state == State.SKIPPED for entry in first))
        return added + self._record_later([entry for entry in entries if not entry.first])

    def _record_later(self, entries: Sequence[NewEntry]) -> int:
        """Of files that the ledger may have other versions of."""
        if not entries:
            return 0
        addresses = [entry.file.address for entry in entries]
        there = list(
            self._ledger().filter(address__in=addresses).order_by().values_list("address", "version", "state", "pk")
        )
        versions = {(address, version) for address, version, _, _ in there}
        rows = [entry for entry in entries if (entry.file.address, entry.file.version) not in versions]
        skipped = sum(entry.state == State.SKIPPED for entry in rows) + self._replace(there, rows)
        self._insert(rows)
        self._count_skipped(skipped)
        return len(rows)

    def _replace(self, there: Sequence[tuple[str, str, str, int]], rows: Sequence[NewEntry]) -> int:
        """Versions that wait still, and of which a later one has come."""
        later = {entry.file.address for entry in rows}
        gone = [pk for address, _, state, pk in there if state == State.DISCOVERED and address in later]
        if not gone:
            return 0
        return (
            self._ledger()
            .filter(pk__in=gone, state=State.DISCOVERED)
            .update(state=State.SKIPPED, reason=REPLACED, run_id=self.run_id, state_changed_at=self.now)
        )

    def _count_skipped(self, count: int) -> None:
        if count:
            Run.objects.filter(pk=self.run_id).update(files_skipped=F("files_skipped") + count)

    def _insert(self, entries: Sequence[NewEntry]) -> int:
        """How many were not there. Plain statements: building models costs more than the database takes for rows."""
        if not entries:
            return 0
        run = self._prepared("run", self.run_id)
        adapted = connection.ops.adapt_datetimefield_value
        waiting = State.DISCOVERED
        rows = [
            (
                entry.file.address,
                entry.file.version,
                entry.file.size_bytes,
                adapted(entry.file.modified_at),
                entry.state.value,
                entry.reason,
                entry.cause,
                None if entry.state is waiting else run,
            )
            for entry in entries
        ]
        now = adapted(self.now)
        same = (self._prepared("ingestion", self.ingestion_id), self.destination_key, "", "", now, now)
        table = connection.ops.quote_name(LedgerEntry._meta.db_table)
        into = f"INSERT INTO {table} ({', '.join(map(connection.ops.quote_name, _COLUMNS))})"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                arrays = ", ".join(f"%s::{type_}[]" for type_ in _TYPES)
                constant = ", ".join(["%s"] * len(same))
                cursor.execute(
                    f"{into} SELECT added.*, {constant} FROM unnest({arrays}) AS added {_UNLESS_THERE}",  # noqa: S608  # no value in it
                    [*same, *map(list, zip(*rows, strict=True))],
                )
            else:
                values = ", ".join(["%s"] * len(_COLUMNS))
                cursor.executemany(f"{into} VALUES ({values}) {_UNLESS_THERE}", [row + same for row in rows])
            added: int = cursor.rowcount
        return added

    def _prepared(self, field: str, value: Any) -> Any:
        column = LedgerEntry._meta.get_field(field)
        assert isinstance(column, ForeignKey)
        return column.get_db_prep_save(value, connection)

    def revise(self, revisions: Sequence[Revision]) -> int:
        """Rows that are SKIPPED still, as a rule judges them now; how many of them wait from now on."""
        opened = 0
        plain = [each for each in revisions if each.state == State.DISCOVERED]
        versions = dict(self._ledger().filter(pk__in=[each.id for each in revisions]).values_list("pk", "version"))
        same = [each.id for each in plain if versions.get(each.id) == each.file.version]
        waiting = {"state": State.DISCOVERED, "reason": "", "cause": "", "run": None, "state_changed_at": self.now}
        skipped = self._ledger().filter(state=State.SKIPPED)
        opened += skipped.filter(pk__in=same).update(**waiting)
        others = set(same)
        for each in revisions:
            if each.id in others:
                continue
            changed = skipped.filter(pk=each.id).update(
                version=each.file.version,
                size_bytes=each.file.size_bytes,
                modified_at=each.file.modified_at,
                state=each.state,
                reason=each.reason,
                cause=each.cause,
                run=None if each.state == State.DISCOVERED else self.run_id,
                state_changed_at=self.now,
            )
            opened += changed if each.state == State.DISCOVERED else 0
        return opened

    # ---- how it was listed

    def ended(self, end: ListingEnd) -> None:
        """Keeps what the next listing has to know."""
        listing, _ = Listing.objects.get_or_create(ingestion_id=self.ingestion_id, destination_key=self.destination_key)
        Listing.objects.filter(pk=listing.pk).update(
            memory=dict(end.memory), full_at=end.full_at, missed=F("missed") + end.missed, updated_at=self.now
        )


def memory(ingestion_id: uuid.UUID, destination_key: str) -> Mapping[str, Any] | None:
    """What the last listing left, if there was one."""
    rows = Listing.objects.filter(ingestion_id=ingestion_id, destination_key=destination_key)
    return rows.values_list("memory", flat=True).first()
