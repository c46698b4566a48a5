"""What a person set up: an ingestion and the credential it reads with."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from autoloader.lib.fields import EncryptedJSONField
from clusters.models import Cluster
from ingestions.engine.config import Credentials, IngestionConfig


class CredentialQuerySet(models.QuerySet["Credential"]):
    def visible_to(self, user: Any) -> CredentialQuerySet:
        return self if user.is_superuser else self.filter(owner=user)


class Credential(models.Model):
    """Access to a store. Ingestions posted with inline credentials get one of their own (``inline``)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="credentials")
    name = models.CharField(max_length=200)
    cloud = models.CharField(max_length=20)
    secret = EncryptedJSONField(null=True, blank=True, default=None)
    #: the parts that may be shown: endpoint, region, role, account name.
    public = models.JSONField(default=dict, blank=True)
    inline = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def credentials(self) -> Credentials:
        """Decrypted, for the point of use only."""
        return Credentials.model_validate({**(self.public or {}), **(self.secret or {})})


class IngestionQuerySet(models.QuerySet["Ingestion"]):
    def visible_to(self, user: Any) -> IngestionQuerySet:
        return self if user.is_superuser else self.filter(owner=user)

    def active(self) -> IngestionQuerySet:
        return self.filter(status=Ingestion.Status.ACTIVE)

    def due(self, now: datetime) -> IngestionQuerySet:
        """Those whose schedule wants a run by now, the one that has waited longest first."""
        return self.active().filter(next_run_at__lte=now).order_by("next_run_at", "pk")

    def to_poll(self, now: datetime) -> IngestionQuerySet:
        """Continuous ones whose source is to be looked at by now, the one that has waited longest first."""
        return self.active().filter(next_poll_at__lte=now).order_by("next_poll_at", "pk")


class Ingestion(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        PAUSED = "paused"
        ERROR = "error"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ingestions")
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    status_reason = models.CharField(max_length=500, blank=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="ingestions")
    credential = models.ForeignKey(
        Credential, null=True, blank=True, on_delete=models.PROTECT, related_name="ingestions"
    )
    #: :class:`IngestionConfig` as JSON, without any secret.
    config = models.JSONField()
    #: raised by every edit; a form or a PUT with an older one is a stale edit.
    config_version = models.PositiveIntegerField(default=1)
    destination_key = models.CharField(max_length=800, db_index=True)
    #: whether this ingestion created its table; only such a table may it drop.
    created_table = models.BooleanField(default=False)
    #: a refresh that was begun and not ended (``full`` or ``new_only``): the next run finishes it before anything else.
    refresh_mode = models.CharField(max_length=10, blank=True, default="")
    # kept, not counted: pages show them without touching the ledger.
    files_loaded = models.BigIntegerField(default=0)
    rows_loaded = models.BigIntegerField(default=0)
    bytes_loaded = models.BigIntegerField(default=0)
    #: the last estimate, and the version of the configuration that it was made for.
    monthly_cost = models.FloatField(null=True, blank=True)
    monthly_cost_version = models.PositiveIntegerField(null=True, blank=True)
    changes_pending = models.PositiveIntegerField(default=0)
    #: of a continuous one: when its source is looked at next (claimed by moving it on), and was looked at last.
    next_poll_at = models.DateTimeField(null=True, blank=True)
    last_polled_at = models.DateTimeField(null=True, blank=True)
    poll_failures = models.PositiveIntegerField(default=0, help_text="looks that failed, in a row")
    poll_note = models.CharField(max_length=500, blank=True, default="", help_text="why the last look failed")
    #: files modified before it are not new, where only new ones are wanted (``schedule.start`` is ``new_only``).
    new_from = models.DateTimeField(null=True, blank=True)
    #: when its schedule fires next; only an active one has it. A fire is claimed by moving it on.
    next_run_at = models.DateTimeField(null=True, blank=True)
    #: when that was reckoned: an instant to come means that the clock was set back since.
    next_run_set_at = models.DateTimeField(null=True, blank=True)
    #: a fire that waits for the run in hand to end (overlap ``queue``).
    behind_for = models.DateTimeField(null=True, blank=True)
    #: what became of the last fire that made no run, or a late one.
    schedule_note = models.CharField(max_length=500, blank=True, default="")
    schedule_noted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = IngestionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="ingestion_by_owner"),
            models.Index(fields=["next_run_at", "id"], condition=Q(status="active"), name="ingestion_due"),
            models.Index(
                fields=["next_poll_at", "id"], condition=Q(next_poll_at__isnull=False), name="ingestion_to_poll"
            ),
            models.Index(fields=["behind_for"], condition=Q(behind_for__isnull=False), name="ingestion_behind"),
        ]

    def __str__(self) -> str:
        return self.name

    def configuration(self) -> IngestionConfig:
        return IngestionConfig.model_validate(self.config)

    @property
    def alert_recipients(self) -> list[str]:
        """Who is named to be told of its runs, also while alerts are off."""
        return list((self.config.get("quality") or {}).get("alert_recipients") or [])

    @property
    def alerts_enabled(self) -> bool:
        return bool((self.config.get("quality") or {}).get("alerts_enabled"))
