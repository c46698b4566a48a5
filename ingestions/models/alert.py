"""What people are told about unattended runs: what stands in an outbox, and for whom."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from autoloader.lib.fields import EncryptedJSONField
from ingestions.models.ingestion import Ingestion
from ingestions.models.run import Run, over

#: no delivery is told to wait longer before its next try.
LONGEST_WAIT = timedelta(days=1)
#: a deliverer's hold on a delivery; longer than any delivery takes.
CLAIM = timedelta(minutes=2)


class Trouble(models.Model):
    """How an ingestion's unattended runs stand: the row of failures that goes on, and what was told of it."""

    ingestion = models.OneToOneField(Ingestion, on_delete=models.CASCADE, related_name="trouble")
    #: one row of failures, from the first to the run that succeeds again; ``None`` where nothing fails.
    incident = models.UUIDField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failed_runs = models.PositiveIntegerField(default=0)
    last_run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    told_at = models.DateTimeField(null=True, blank=True, help_text="when somebody was last told of this row")
    told_runs = models.PositiveIntegerField(default=0, help_text="how many of its runs had failed then")
    remind_at = models.DateTimeField(null=True, blank=True, help_text="not before this instant")
    #: partial runs that were not told yet, and what they set aside.
    aside_runs = models.PositiveIntegerField(default=0)
    aside_files = models.BigIntegerField(default=0)
    held_files = models.BigIntegerField(default=0)
    aside_run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    aside_told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-failing_since", "id"]
        verbose_name_plural = "troubles"

    def __str__(self) -> str:
        return f"{self.ingestion}: {self.failed_runs} failed"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: Any) -> AlertQuerySet:
        return self if user.is_superuser else self.filter(ingestion__owner=user)

    def with_delivery(self, state: str) -> AlertQuerySet:
        """Those with a delivery in this state."""
        return self.filter(Exists(AlertDelivery.objects.filter(alert=OuterRef("pk"), state=state)))


class Alert(models.Model):
    """One thing to tell. It is inserted in the transaction that makes it true."""

    class Kind(models.TextChoices):
        FAILED = "failed"
        STILL_FAILING = "still_failing"
        RECOVERED = "recovered"
        SET_ASIDE = "files_set_aside"
        TEST = "test"

    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="alerts")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    incident = models.UUIDField(default=uuid.uuid4, help_text="the same for all that is told of one row of failures")
    #: what was known when it happened (``notify.message.Facts``); no secret is in it.
    facts = models.JSONField(default=dict)
    #: what it says, written once, before its first delivery.
    subject = models.CharField(max_length=300, blank=True)
    text = models.TextField(blank=True)
    document = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["ingestion", "-id"], name="alert_by_ingestion")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.created_at:%Y-%m-%d %H:%M}"


class AlertDeliveryQuerySet(models.QuerySet["AlertDelivery"]):
    def due(self, now: datetime) -> AlertDeliveryQuerySet:
        """Those that wait, whose next try has come and that nobody holds."""
        free = Q(claimed_until=None) | over("claimed_until", now, 2 * CLAIM)
        return self.filter(free, over("next_try_at", now, 2 * LONGEST_WAIT), state=AlertDelivery.State.WAITING)


class AlertDelivery(models.Model):
    """An alert on its way to one recipient: a row of the outbox. It ends delivered or given up."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        GIVEN_UP = "given_up"

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    #: what a receiver tells duplicates by: the same at every try.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    recipient = models.CharField(max_length=1000)
    server = models.CharField(max_length=260, help_text="whom it goes through: a webhook's host, or “mail”")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    trying_since = models.DateTimeField(null=True, blank=True, help_text="the first try")
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    #: one deliverer's hold; a random word a claim, so that one that comes back late changes nothing.
    claim = models.CharField(max_length=64, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="why the last try failed")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = AlertDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "alert deliveries"
        indexes = [models.Index(fields=["next_try_at"], name="delivery_due", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.alert} ({self.get_channel_display()})"


class WebhookSecret(models.Model):
    """What requests to one webhook of one owner are signed with."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    url = models.CharField(max_length=1000)
    secret = EncryptedJSONField()
    #: whether a person has seen it, once; the first one is made by the first request and nobody knows it.
    shown_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["owner", "url"], name="one_secret_a_webhook")]

    def __str__(self) -> str:
        return f"secret of {self.owner}"
