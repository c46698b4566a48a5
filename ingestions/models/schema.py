"""Versions of a table's schema."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from ingestions.models.ingestion import Ingestion
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
