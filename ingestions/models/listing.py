"""What listings of a source leave behind for the next one, and the count of what is in it."""

from __future__ import annotations

from django.db import models

from ingestions.models.ingestion import Ingestion


class Listing(models.Model):
    """Of one ingestion and destination: how its source's names grow, and from where the next listing may start."""

    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="listings")
    destination_key = models.CharField(max_length=800)
    #: :class:`ingestions.engine.incremental.Memory` as JSON.
    memory = models.JSONField(default=dict)
    full_at = models.DateTimeField(null=True, blank=True, help_text="when the last whole listing began")
    missed = models.BigIntegerField(
        default=0, help_text="files that audits have found and incremental listings had missed"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["ingestion", "destination_key"]
        constraints = [
            models.UniqueConstraint(fields=["ingestion", "destination_key"], name="one_listing_a_destination"),
        ]

    def __str__(self) -> str:
        return self.destination_key


class Census(models.Model):
    """A count of every object in a source by what the ledger knows of it; the last one, or the one in hand."""

    class Status(models.TextChoices):
        COUNTING = "counting"
        DONE = "done"
        FAILED = "failed"

    ingestion = models.OneToOneField(Ingestion, on_delete=models.CASCADE, related_name="census")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.COUNTING)
    #: a random word of whoever counts: one that was given up on finds another's here, and writes no more.
    token = models.CharField(max_length=64, blank=True)
    listed = models.BigIntegerField(default=0, help_text="objects counted so far")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField()
    #: a sign of life while it counts, then the time of its end.
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "censuses"

    def __str__(self) -> str:
        return f"{self.ingestion}: {self.status}"
