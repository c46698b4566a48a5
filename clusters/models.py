"""Spark clusters that people have told us about."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from autoloader.lib.breaker import BreakerState
from autoloader.lib.fields import EncryptedJSONField


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def visible_to(self, user: Any) -> ClusterQuerySet:
        """A person's own clusters and those without an owner, which everybody may use; all for a superuser."""
        if user.is_superuser:
            return self
        return self.filter(Q(owner=user) | Q(owner=None))


class Cluster(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="clusters"
    )
    name = models.CharField(max_length=200)
    #: Spark Connect URL with every ``;key=value`` part but the token.
    url = models.CharField("Spark Connect URL", max_length=1000)
    token = EncryptedJSONField(null=True, blank=True, default=None)
    workers = models.PositiveIntegerField(default=1)
    dbu_per_worker = models.FloatField("DBU per worker", default=1)
    price_dbu_hour = models.FloatField("price of a DBU hour")
    price_storage_gb_month = models.FloatField("price of a GB of storage a month")
    currency = models.CharField(max_length=3, default="USD")
    default_catalog = models.CharField(max_length=255, blank=True)
    max_runs = models.PositiveIntegerField(
        "runs at once", null=True, blank=True, help_text="at most so many work on it at the same time; empty: no bound"
    )
    is_embedded = models.BooleanField(default=False)
    #: outcome of the last connection test, as REST answers it.
    last_test = models.JSONField(null=True, blank=True)
    last_test_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["is_embedded"], condition=Q(is_embedded=True), name="one_embedded_cluster"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def awaited(self) -> ClusterBreaker | None:
        """The breaker, while it is open: runs wait for this cluster to answer again."""
        breaker: ClusterBreaker | None = getattr(self, "breaker", None)
        return breaker if breaker is not None and breaker.is_open else None

    @property
    def status(self) -> str:
        """``running``, ``stopped`` or ``unknown``, as the last connection test saw it."""
        if not self.last_test:
            return "unknown"
        return "running" if self.last_test.get("status") == "success" else "stopped"


class ClusterBreaker(BreakerState):
    """Whether runs may go to the cluster; a cluster that never failed has none."""

    cluster = models.OneToOneField(Cluster, primary_key=True, on_delete=models.CASCADE, related_name="breaker")

    def __str__(self) -> str:
        return f"{self.cluster}: {'open' if self.is_open else 'closed'}"
