"""A run, its batches, and the attempts at each batch."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from ingestions.models.ingestion import Ingestion

PHASE_LENGTH = 400


def over(name: str, now: datetime, farthest: timedelta) -> Q:
    """The instant in this field has passed; or it is farther ahead than any is ever set: the clock was set back."""
    return Q(**{f"{name}__lte": now}) | Q(**{f"{name}__gt": now + farthest})


def lease_over(name: str, now: datetime) -> Q:
    """The same of a lease, which is renewed four times while it lasts."""
    return over(name, now, timedelta(seconds=2 * settings.LEASE_SECONDS))


def longest_wait() -> timedelta:
    """No run is told to wait longer before its next look."""
    return timedelta(seconds=2 * max(300, settings.BREAKER_LONGEST_WAIT_SECONDS))


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: Any) -> RunQuerySet:
        return self if user.is_superuser else self.filter(ingestion__owner=user)

    def active(self) -> RunQuerySet:
        return self.filter(status__in=Run.ACTIVE)

    def idle(self) -> RunQuerySet:
        """Runs of continuous ingestions that have loaded all there was, and are not ended yet."""
        return self.active().filter(lease_token="").exclude(idle_since=None)

    def unheld(self, now: datetime) -> RunQuerySet:
        """Active runs that nobody works on: nobody holds them, or the holder's lease has run out."""
        return self.active().filter(Q(lease_token="", lease_expires_at=None) | lease_over("lease_expires_at", now))

    def claimable(self, now: datetime) -> RunQuerySet:
        """Runs that a worker may take: nobody holds them, or the holder's lease has run out."""
        free = Q(lease_expires_at=None) | lease_over("lease_expires_at", now)
        return self.active().filter(free, Q(resume_at=None) | over("resume_at", now, longest_wait()))


class Run(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCESS = "success"
        PARTIAL = "partial"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Trigger(models.TextChoices):
        SCHEDULED = "scheduled"
        MANUAL = "manual"
        RETRY = "retry"
        CONTINUOUS = "continuous"
        EVENT = "event"
        BACKFILL = "backfill"
        REFRESH = "refresh"

    ACTIVE = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="runs")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.MANUAL)
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    priority = models.SmallIntegerField(default=0, help_text="of the runs in the queue the one with the highest first")
    #: which retry it is that nobody asked for; 0 for any other run.
    retry_number = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True, help_text="it failed, and is tried again then by itself")
    #: what a backfill is for, as :class:`ingestions.engine.backfill.Range` has it.
    backfill = models.JSONField(null=True, blank=True)
    #: since when it waits for a free place under a limit.
    place_since = models.DateTimeField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    #: the configuration it runs with, frozen when it starts; no secret in it.
    config = models.JSONField(null=True, blank=True)
    queued_at = models.DateTimeField(auto_now_add=True)
    enqueued_at = models.DateTimeField(
        null=True, blank=True, help_text="when a task for it was last put into the queue"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    #: one worker's hold on the run; a random word a claim, so that a zombie cannot mistake it for its own.
    lease_token = models.CharField(max_length=64, blank=True)
    lease_holder = models.CharField(max_length=200, blank=True, help_text="host:pid")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    resume_at = models.DateTimeField(null=True, blank=True, help_text="not before this instant: a back-off or a turn")
    takeovers = models.PositiveIntegerField(default=0, help_text="times a lease ran out and another worker took over")
    slices = models.PositiveIntegerField(default=0)
    transient_failures = models.PositiveIntegerField(default=0, help_text="in a row, since the last progress")
    discovered_at = models.DateTimeField(null=True, blank=True)
    #: how the source was listed (``full``, ``incremental``, ``audit``), and why so.
    listing_mode = models.CharField(max_length=12, blank=True, default="")
    listing_reason = models.CharField(max_length=500, blank=True, default="")
    files_missed = models.BigIntegerField(
        default=0, help_text="files found by an audit that incremental listings had missed"
    )
    phase = models.CharField(max_length=PHASE_LENGTH, blank=True)
    waits_for = models.CharField(max_length=80, blank=True, help_text="the breaker that has to close first")
    waits_since = models.DateTimeField(null=True, blank=True)
    #: a continuous run has loaded all there was then; what comes within a minute goes on with it.
    idle_since = models.DateTimeField(null=True, blank=True)
    #: what a person should know about a run that succeeded, for example that no file matched.
    hint = models.CharField(max_length=500, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    error_hint = models.TextField(blank=True)
    files_listed = models.BigIntegerField(default=0)
    files_total = models.BigIntegerField(default=0)
    files_loaded = models.BigIntegerField(default=0)
    files_failed = models.BigIntegerField(default=0)
    files_skipped = models.BigIntegerField(default=0)
    files_held = models.BigIntegerField(default=0, help_text="files that wait for a person to decide")
    bytes_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    bytes_written = models.BigIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    rows_rescued = models.BigIntegerField(default=0)
    rows_quarantined = models.BigIntegerField(default=0)
    rows_dropped = models.BigIntegerField(default=0)
    values_dropped = models.BigIntegerField(default=0, help_text="values of columns that the table is not to have")
    batches_done = models.PositiveIntegerField(default=0)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at", "-id"]
        indexes = [
            models.Index(fields=["ingestion", "-queued_at"], name="run_by_ingestion"),
            models.Index(fields=["status", "lease_expires_at"], name="run_by_lease"),
            models.Index(fields=["retry_at"], condition=Q(retry_at__isnull=False), name="run_to_retry"),
            models.Index(
                fields=["-priority", "enqueued_at"],
                condition=Q(status__in=["queued", "running"]),
                name="run_by_priority",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["ingestion"], condition=Q(status__in=["queued", "running"]), name="one_active_run"
            ),
            models.UniqueConstraint(
                fields=["ingestion", "scheduled_for"], condition=Q(scheduled_for__isnull=False), name="one_run_a_fire"
            ),
            models.UniqueConstraint(
                fields=["ingestion", "idempotency_key"], condition=~Q(idempotency_key=""), name="one_run_a_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ingestion} · {self.queued_at:%Y-%m-%d %H:%M:%S}"

    @property
    def is_unattended(self) -> bool:
        """Whether nobody asked for it, who would be looking at it."""
        by_itself = self.trigger in (self.Trigger.SCHEDULED, self.Trigger.CONTINUOUS, self.Trigger.EVENT)
        return self.requested_by_id is None and (by_itself or self.retry_number > 0)

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    @property
    def is_idle(self) -> bool:
        """It has loaded all there was, and waits for more."""
        return self.is_active and self.idle_since is not None

    @property
    def files_done(self) -> int:
        """Files that have their outcome in this run."""
        return self.files_loaded + self.files_failed + self.files_held


class RunError(models.Model):
    """One file's (or the run's own) error. ``file`` is a ledger address, empty for the run itself."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="errors")
    file = models.TextField(blank=True)
    error_type = models.CharField(max_length=60)
    message = models.TextField()
    hint = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message[:80]}"


class Batch(models.Model):
    class State(models.TextChoices):
        OPEN = "open"
        LOADED = "loaded"
        RELEASED = "released"  # given up before anything was published; its files wait again

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="batches")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="batches")
    destination_key = models.CharField(max_length=800)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    files = models.PositiveIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    rescued_rows = models.BigIntegerField(default=0)
    quarantined_rows = models.BigIntegerField(default=0)
    dropped_rows = models.BigIntegerField(default=0)
    #: malformed rows of it are being kept out of the table; noted before anything of it is published, so that whoever
    #: goes on knows, and the quarantine of a batch that is given up is swept.
    separated = models.BooleanField(default=False)
    bytes_written = models.BigIntegerField(default=0)
    snapshot_id = models.BigIntegerField(null=True, blank=True)
    ddl = models.JSONField(default=list, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "number"]
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="batch_number"),
            models.UniqueConstraint(
                fields=["ingestion", "destination_key"], condition=Q(state="open"), name="one_open_batch"
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.number}"


class Attempt(models.Model):
    """A try at a batch on a branch of its own. The branch outlives the attempt until it is swept."""

    class State(models.TextChoices):
        OPEN = "open"
        PUBLISHED = "published"
        ADOPTED = "adopted"  # the batch was found published by an earlier attempt
        ENDED = "ended"  # lost, failed or abandoned; ``outcome`` says why

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    branch = models.CharField(max_length=120, unique=True)
    base_snapshot_id = models.BigIntegerField(null=True, blank=True)
    session_id = models.CharField(max_length=64, blank=True)
    tag = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    outcome = models.CharField(max_length=500, blank=True)
    swept_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["batch", "number"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="attempt_number")]

    def __str__(self) -> str:
        return self.branch
