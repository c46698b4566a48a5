"""Versions of a table's schema, and changes of it that wait for a person."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from ingestions.models.ingestion import Ingestion
from ingestions.models.ledger import LedgerEntry
from ingestions.models.run import Run


class SchemaVersion(models.Model):
    """When, who or what, which files, which DDL. ``actor`` is empty where a run did it."""

    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="schema_versions")
    destination_key = models.CharField(max_length=800)
    number = models.PositiveIntegerField()
    columns = models.JSONField(default=list)  # [[name, type], …]
    ddl = models.JSONField(default=list)
    files = models.JSONField(default=list)  # the first 20 addresses that asked for it
    note = models.CharField(max_length=500, blank=True)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="schema_versions")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["ingestion", "destination_key", "number"], name="schema_version_number")
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class SchemaChangeQuerySet(models.QuerySet["SchemaChange"]):
    def visible_to(self, user: Any) -> SchemaChangeQuerySet:
        return self if user.is_superuser else self.filter(ingestion__owner=user)

    def pending(self) -> SchemaChangeQuerySet:
        return self.filter(status=SchemaChange.Status.PENDING)


class SchemaChange(models.Model):
    """What the mode ``review`` asks a person: may the table's columns change like this? Its files wait for the answer,
    and those that bring the same later join them."""

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"  # the next run changes the table
        APPLIED = "applied"
        REJECTED = "rejected"  # the values stand in _rescued_data, from now on
        WITHDRAWN = "withdrawn"  # the mode is another one, or the table was dropped: nobody has to decide

    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="schema_changes")
    destination_key = models.CharField(max_length=800)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    changes = models.JSONField(default=list)  # engine.schema.diff.Change.to_json of each
    ddl = models.JSONField(default=list)
    files = models.ManyToManyField(LedgerEntry, related_name="schema_changes", blank=True)
    #: the run that met it, and the version of the schema that it became.
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="schema_changes")
    version = models.ForeignKey(SchemaVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="changes")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SchemaChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["ingestion", "destination_key", "number"], name="schema_change_number")
        ]

    def __str__(self) -> str:
        return f"schema change #{self.number}"
