"""What keeps the installation running, as the operator sees it."""

from __future__ import annotations

from django.db import models

from autoloader.lib.breaker import BreakerState


class Heartbeat(models.Model):
    """A process of ours that is alive: written at least every 10 s."""

    class Kind(models.TextChoices):
        WORKER = "worker"
        SCHEDULER = "scheduler"
        SUPERVISOR = "supervisor"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    process = models.CharField(max_length=200, unique=True)  # host:pid
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["kind", "process"]

    def __str__(self) -> str:
        return f"{self.kind} {self.process}"


class SourceBreaker(BreakerState):
    """Whether runs may ask a store; one that never failed has none."""

    #: bucket and endpoint; no key and no user stands in it.
    store = models.CharField(primary_key=True, max_length=500)

    def __str__(self) -> str:
        return f"{self.store}: {'open' if self.is_open else 'closed'}"


class LimitLock(models.Model):
    """Whoever counts the places under a limit holds its row meanwhile, so that two do not take the last one."""

    scope = models.CharField(primary_key=True, max_length=80)

    def __str__(self) -> str:
        return self.scope
