"""The ORM's side of :class:`ingestions.engine.ledger.Store`: short transactions, each fenced by the run's lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from autoloader.lib.chunks import chunks
from autoloader.lib.errors import AutoloaderError, LeaseLost
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import (
    Asked,
    AttemptState,
    BatchOutcome,
    BatchState,
    Earlier,
    Entry,
    Known,
    ListingEnd,
    NewEntry,
    NewSchema,
    Revision,
    Separated,
    State,
    Twin,
    Waiting,
    sources_of,
)
from ingestions.engine.schema.policy import Decisions
from ingestions.models import Attempt, Batch, Ingestion, LedgerEntry, Run, RunError, SchemaVersion
from ingestions.models.ingestion import IngestionQuerySet
from ingestions.models.ledger import LedgerQuerySet
from ingestions.models.run import PHASE_LENGTH
from ingestions.services import duplicates, quarantine, recording
from ingestions.services.outcome import Outcome, lost_with_the_table
from ingestions.services.questions import Questions, held_back
from ingestions.services.recording import Recording


class OrmStore:
    """One worker's hold on one run. ``token`` is the lease's: whoever holds another one is fenced out.

    ``destination_key`` is the frozen configuration's: an edit in the middle of a run does not move it.
    """

    def __init__(self, run: Run, *, destination_key: str, now: Callable[[], datetime] = timezone.now) -> None:
        self.run_id = run.pk
        self.ingestion_id = run.ingestion_id
        self.token = run.lease_token
        self.destination_key = destination_key
        self._now = now

    # ---- the fence

    @contextmanager
    def _fenced(self, **changes: object) -> Iterator[None]:
        """A transaction that begins with the proof that the run is still ours, and renews the lease by it.

        The conditional update locks the run's row, so a takeover waits for us or we for it.
        """
        with transaction.atomic():
            expires = self._now() + timedelta(seconds=settings.LEASE_SECONDS)
            mine = Run.objects.filter(pk=self.run_id, lease_token=self.token, status=Run.Status.RUNNING)
            if not mine.update(lease_expires_at=expires, **changes):
                raise LeaseLost("lease_lost", f"The run {self.run_id} is worked on by somebody else now.")
            yield

    def fence(self) -> None:
        with self._fenced():
            pass

    def phase(self, name: str) -> None:
        with self._fenced(phase=name[:PHASE_LENGTH]):
            pass

    def listing(self, seen: int) -> None:
        sofar = f": {seen:,} objects so far" if seen else ""
        with self._fenced(phase=f"listing the source{sofar}", files_listed=seen):
            pass

    def cancel_requested(self) -> bool:
        return Run.objects.filter(pk=self.run_id).exclude(cancel_requested_at=None).exists()

    # ---- discovery

    def _ledger(self) -> LedgerQuerySet:
        return LedgerEntry.objects.filter(ingestion_id=self.ingestion_id, destination_key=self.destination_key)

    def _ingestion(self) -> IngestionQuerySet:
        """The row that shows totals of its destination; none where an edit gave it another one meanwhile."""
        return Ingestion.objects.filter(pk=self.ingestion_id, destination_key=self.destination_key)

    def discovery_done(self) -> bool:
        return Run.objects.filter(pk=self.run_id).exclude(discovered_at=None).exists()

    def known(self, addresses: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        return recording.known(self._ledger(), addresses)

    def _recording(self) -> Recording:
        return Recording(self.ingestion_id, self.destination_key, self.run_id, self._now())

    def record(self, entries: Sequence[NewEntry]) -> int:
        added = 0
        for part in chunks(entries):
            with self._fenced():
                added += self._recording().record(part)
        return added

    def revise(self, revisions: Sequence[Revision]) -> int:
        opened = 0
        for part in chunks(revisions):
            with self._fenced():
                opened += self._recording().revise(part)
        return opened

    def listing_memory(self) -> Mapping[str, Any] | None:
        return recording.memory(self.ingestion_id, self.destination_key)

    def finish_discovery(self, *, listed: int, hint: str = "", end: ListingEnd | None = None) -> None:
        waiting = self._ledger().filter(state__in=[State.DISCOVERED, State.CLAIMED]).undecided(False)
        totals = waiting.aggregate(files=Count("id"), bytes=Coalesce(Sum("size_bytes"), 0))
        held = self._ledger().filter(state=State.DISCOVERED).undecided().count()
        if held:
            hint = f"{hint} {held_back(held)}".strip()
        how: dict[str, object] = {}
        if end is not None:
            how = {"listing_mode": end.mode, "listing_reason": end.reason[:500], "files_missed": end.missed}
        with self._fenced(
            discovered_at=self._now(),
            files_listed=listed,
            # a continuous run lists again and again
            files_total=F("files_loaded") + F("files_failed") + F("files_held") + totals["files"],
            bytes_total=F("bytes_done") + totals["bytes"],
            hint=hint[:500],
            **how,
        ):
            if end is not None:
                self._recording().ended(end)

    # ---- planning

    def _waiting(self) -> LedgerQuerySet:
        return self._ledger().filter(state=State.DISCOVERED).undecided(False)

    def pending(self, limit: int, after_id: int = 0) -> Sequence[Entry]:
        rows = self._waiting().filter(id__gt=after_id).order_by("id")[:limit]
        return [_entry(row) for row in rows]

    def waiting(self, limit: int) -> Waiting | None:
        some = self._waiting().order_by("id")[: limit + 1]
        found = some.aggregate(files=Count("id"), bytes=Coalesce(Sum("size_bytes"), 0))
        return None if found["files"] > limit else Waiting(found["files"], found["bytes"])

    def set_shapes(self, shapes: Mapping[int, Shape]) -> None:
        by_key: dict[str, tuple[Shape, list[int]]] = {}
        for entry_id, shape in shapes.items():
            by_key.setdefault(shape.key, (shape, []))[1].append(entry_id)
        with self._fenced():
            for shape, ids in by_key.values():
                self._ledger().filter(id__in=ids).update(shape=shape.to_json())

    def set_aside(self, entry_id: int, state: State, error: AutoloaderError) -> None:
        with self._fenced():
            changed = (
                self._ledger()
                .filter(id=entry_id, state__in=sources_of(state))
                .update(
                    state=state,
                    reason=error.message,
                    error_code=error.code,
                    run_id=self.run_id,
                    batch=None,
                    state_changed_at=self._now(),
                )
            )
            if not changed:
                return
            run = Run.objects.filter(pk=self.run_id)
            if state == State.FAILED:
                run.update(files_failed=F("files_failed") + 1)
                address = LedgerEntry.objects.values_list("address", flat=True).get(pk=entry_id)
                RunError.objects.create(
                    run_id=self.run_id, file=address, error_type=error.code, message=error.message, hint=error.hint
                )
            else:
                run.update(files_skipped=F("files_skipped") + 1)

    def twins(self, entries: Sequence[Entry]) -> Sequence[Twin]:
        return duplicates.twins(self._ledger(), entries)

    def set_checksums(self, checksums: Mapping[int, str]) -> None:
        with self._fenced():
            duplicates.set_checksums(self._ledger(), checksums)

    def duplicate(self, entry_id: int, original: Twin) -> None:
        with self._fenced():
            if duplicates.skip(self._ledger(), entry_id, original, run_id=self.run_id, now=self._now()):
                Run.objects.filter(pk=self.run_id).update(files_skipped=F("files_skipped") + 1)

    def open_batch(self) -> BatchState | None:
        batch = (
            Batch.objects.filter(
                ingestion_id=self.ingestion_id, destination_key=self.destination_key, state=Batch.State.OPEN
            )
            .prefetch_related("attempts")
            .first()
        )
        if batch is None:
            return None
        if batch.run_id != self.run_id:  # left by a run that ended without knowing how it stands: ours to resolve
            with self._fenced():
                batch.number = self._next_number()
                Batch.objects.filter(pk=batch.pk).update(run_id=self.run_id, number=batch.number)
        entries = self._ledger().filter(batch=batch, state=State.CLAIMED).order_by("id")
        return BatchState(
            str(batch.pk),
            batch.number,
            tuple(_entry(row) for row in entries),
            tuple(_attempt(row) for row in batch.attempts.all()),
            batch.separated,
        )

    def _next_number(self) -> int:
        last: int | None = Batch.objects.filter(run_id=self.run_id).aggregate(last=Max("number"))["last"]
        return (last or 0) + 1

    def begin_batch(self, entries: Sequence[Entry]) -> BatchState:
        ids = [entry.id for entry in entries]
        with self._fenced():
            batch = Batch.objects.create(
                ingestion_id=self.ingestion_id,
                run_id=self.run_id,
                destination_key=self.destination_key,
                number=self._next_number(),
                files=len(ids),
                bytes=sum(entry.file.size_bytes for entry in entries),
            )
            claimed = 0
            for part in chunks(ids):
                claimed += (
                    self._ledger()
                    .filter(id__in=part, state=State.DISCOVERED)
                    .update(state=State.CLAIMED, batch=batch, run_id=self.run_id, state_changed_at=self._now())
                )
            if claimed != len(ids):
                raise LeaseLost("files_taken", "Files of this batch changed their state while it was planned.")
        return BatchState(str(batch.pk), batch.number, tuple(entries), new=True)

    def release(self, batch: BatchState, entry_ids: Sequence[int]) -> None:
        with self._fenced():
            now = self._now()
            for part in chunks(entry_ids):
                self._ledger().filter(id__in=part, batch_id=batch.id, state=State.CLAIMED).update(
                    state=State.DISCOVERED, batch=None, run_id=None, state_changed_at=now
                )
            left = self._ledger().filter(batch_id=batch.id, state=State.CLAIMED)
            summary = left.aggregate(bytes=Coalesce(Sum("size_bytes"), 0))
            rows = Batch.objects.filter(pk=batch.id, state=Batch.State.OPEN)
            count = left.count()
            if count:
                rows.update(files=count, bytes=summary["bytes"])
            else:
                rows.update(state=Batch.State.RELEASED, ended_at=now)

    # ---- loading

    def begin_attempt(self, batch: BatchState, *, session_id: str) -> AttemptState:
        with self._fenced():
            last: int | None = Attempt.objects.filter(batch_id=batch.id).aggregate(last=Max("number"))["last"]
            number = (last or 0) + 1
            # Never used twice: the batch's own random id, the number, and a random end.
            branch = f"autoloader_{uuid.UUID(batch.id).hex}_{number}_{uuid.uuid4().hex[:8]}"
            row = Attempt.objects.create(
                batch_id=batch.id, number=number, branch=branch, session_id=session_id, tag=branch
            )
        return _attempt(row)

    def attempt_based(self, batch: BatchState, attempt: AttemptState, base_snapshot_id: int | None) -> None:
        with self._fenced():
            Attempt.objects.filter(branch=attempt.branch).update(base_snapshot_id=base_snapshot_id)

    def end_attempt(self, batch: BatchState, attempt: AttemptState, outcome: str) -> None:
        with self._fenced():
            Attempt.objects.filter(branch=attempt.branch, state=Attempt.State.OPEN).update(
                state=Attempt.State.ENDED, outcome=outcome[:500], ended_at=self._now()
            )

    def batch_loaded(self, batch: BatchState, attempt: AttemptState | None, outcome: BatchOutcome) -> None:
        with self._fenced():
            row = Batch.objects.select_for_update().get(pk=batch.id)
            if row.state != Batch.State.LOADED:
                Outcome(row, run_id=self.run_id, now=self._now()).write(attempt, outcome)

    def earlier(self, entries: Sequence[Entry]) -> Sequence[Earlier]:
        return quarantine.earlier(self._ledger(), entries)

    def separate(self, batch: BatchState, rows: Sequence[Separated]) -> None:
        with self._fenced():
            quarantine.separate(self._ledger().filter(batch_id=batch.id, state=State.CLAIMED), batch.id, rows)

    def stale_quarantine(self) -> Sequence[str]:
        return quarantine.stale(self.ingestion_id, self.destination_key)

    def quarantine_swept(self, batch_id: str) -> None:
        with self._fenced():
            quarantine.swept(self._ledger(), batch_id)

    def unreadable(self) -> Sequence[str]:
        later = self._ledger().filter(address=OuterRef("address"), pk__gt=OuterRef("pk"))
        failed = self._ledger().filter(state=State.FAILED).exclude(Exists(later))
        return list(failed.order_by("pk").values_list("address", flat=True)[:100])

    def schema_known(self) -> bool:
        return SchemaVersion.objects.filter(
            ingestion_id=self.ingestion_id, destination_key=self.destination_key
        ).exists()

    def stale_branches(self) -> Sequence[str]:
        return list(
            Attempt.objects.filter(
                batch__ingestion_id=self.ingestion_id, batch__destination_key=self.destination_key, swept_at=None
            )
            .exclude(state=Attempt.State.OPEN)
            .values_list("branch", flat=True)[:100]
        )

    def branch_swept(self, branch: str) -> None:
        Attempt.objects.filter(branch=branch).update(swept_at=self._now())

    def schema_changed(self, change: NewSchema) -> None:
        with self._fenced():
            self._questions().version(change)

    def decisions(self) -> Decisions:
        return self._questions().decisions()

    def ask(self, batch: BatchState, asked: Sequence[Asked]) -> None:
        with self._fenced():
            self._questions().ask(batch, asked)

    def withdraw_questions(self) -> None:
        if self._questions().pending().exists():
            with self._fenced():
                self._questions().withdraw()

    def _questions(self) -> Questions:
        return Questions(self.ingestion_id, self.destination_key, self.run_id, self._now())

    def table_missing(self) -> None:
        rows = self._ingestion().values_list("rows_loaded", flat=True).first()
        if rows:
            with self._fenced(hint=lost_with_the_table(rows)):
                pass

    def table_created(self) -> None:
        with self._fenced():
            self._ingestion().update(created_table=True)


def _entry(row: LedgerEntry) -> Entry:
    shape = Shape.from_json(row.shape) if row.shape else None
    return Entry(row.pk, row.remote_file(), State(row.state), shape, str(row.quarantine_batch or ""), row.checksum)


def _attempt(row: Attempt) -> AttemptState:
    return AttemptState(
        row.number, row.branch, row.base_snapshot_id, row.session_id, row.tag, row.state == Attempt.State.OPEN
    )
