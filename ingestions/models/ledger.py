"""The ledger: one row for each version of each file ever seen."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.engine.sources.base import RemoteFile
from ingestions.models.ingestion import Ingestion
from ingestions.models.run import Batch, Run


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def visible_to(self, user: Any) -> LedgerQuerySet:
        return self if user.is_superuser else self.filter(ingestion__owner=user)

    def newest(self) -> LedgerQuerySet:
        """Without versions of which a later one is known: their content is gone, and reading them by their address
        would load the later one a second time."""
        later = LedgerEntry.objects.filter(
            ingestion=OuterRef("ingestion"),
            destination_key=OuterRef("destination_key"),
            address=OuterRef("address"),
            pk__gt=OuterRef("pk"),
        )
        return self.filter(~Exists(later))

    def undecided(self, wanted: bool = True) -> LedgerQuerySet:
        """Files that wait until a person has decided about a change of the table's columns, or the others."""
        asked = LedgerEntry.schema_changes.through.objects.filter(
            ledgerentry_id=OuterRef("pk"), schemachange__status="pending"
        )
        return self.filter(Exists(asked)) if wanted else self.filter(~Exists(asked))


class LedgerEntry(models.Model):
    """It belongs to ingestion and destination: another destination starts with nothing loaded."""

    # indexes that begin with them are below
    ingestion = models.ForeignKey(Ingestion, on_delete=models.CASCADE, related_name="files", db_index=False)
    destination_key = models.CharField(max_length=800)
    address = models.TextField()
    version = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    modified_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=[(state.value, state.value.capitalize()) for state in State])
    reason = models.TextField(blank=True)
    #: which rule has skipped it, where one has: :class:`~ingestions.engine.ledger.Cause`.
    cause = models.CharField(max_length=20, blank=True, default="")
    error_code = models.CharField(max_length=60, blank=True)
    shape = models.JSONField(null=True, blank=True)
    #: the run that gave it its state, and the batch that holds its rows.
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="files", db_index=False)
    batch = models.ForeignKey(Batch, null=True, blank=True, on_delete=models.SET_NULL, related_name="entries")
    snapshot_id = models.BigIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(null=True, blank=True)
    rescued_rows = models.BigIntegerField(null=True, blank=True)
    #: of a file with malformed rows that were kept out of the table: rows read = rows + quarantined + dropped.
    read_rows = models.BigIntegerField(null=True, blank=True)
    quarantined_rows = models.BigIntegerField(null=True, blank=True)
    dropped_rows = models.BigIntegerField(null=True, blank=True)
    quarantine_batch = models.UUIDField(
        null=True, blank=True, help_text="the batch under which its rows stand in the quarantine table"
    )
    checksum = models.CharField(max_length=80, blank=True, help_text="of its content, where it was asked for")
    duplicate_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="duplicates"
    )
    #: values of columns that the table is not to have (mode ``none``).
    dropped_values = models.BigIntegerField(null=True, blank=True)
    discovered_at = models.DateTimeField(auto_now_add=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(
                fields=["ingestion", "destination_key", "address", "version"], name="one_row_a_version"
            ),
        ]
        indexes = [
            models.Index(fields=["ingestion", "destination_key", "id"], name="ledger_by_id"),
            models.Index(fields=["ingestion", "destination_key", "state", "id"], name="ledger_by_state"),
            models.Index(fields=["run", "id"], name="ledger_by_run"),
            models.Index(fields=["ingestion", "destination_key", "size_bytes"], name="ledger_by_size"),
        ]

    def __str__(self) -> str:
        return self.address

    def remote_file(self) -> RemoteFile:
        """The version as the engine knows it."""
        return RemoteFile(self.address, self.version, self.size_bytes, self.modified_at)


class TableLease(models.Model):
    """Turns between our own ingestions that write into one table."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+")
    destination_key = models.CharField(max_length=800)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    token = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "destination_key"], name="one_lease_a_table")]

    def __str__(self) -> str:
        return self.destination_key
