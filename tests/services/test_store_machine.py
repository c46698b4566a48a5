"""The machine of the ledger over the ORM's store, on whichever database the suite runs with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import Batch, Ingestion, LedgerEntry, Run
from ingestions.services.files import can_retry, file_retry
from ingestions.services.lease import claim
from ingestions.services.store import OrmStore
from tests.engine.feeds import CONFIG
from tests.engine.machine import LedgerMachine


class Tripping:
    """A store whose worker may die before any of its methods."""

    def __init__(self, store: OrmStore, trip: Callable[[str], None]) -> None:
        self._store = store
        self._trip = trip

    def __getattr__(self, name: str) -> Any:
        self._trip(f"before {name}")
        return getattr(self._store, name)


class OrmBackend:
    def __init__(self) -> None:
        owner, _ = get_user_model().objects.get_or_create(username="owner")
        cluster = Cluster.objects.create(
            name="c", url="sc://127.0.0.1:1", price_dbu_hour=0.4, price_storage_gb_month=0.02
        )
        self.ingestion = Ingestion.objects.create(
            owner=owner, name="feed", cluster=cluster, config=CONFIG, destination_key="c.d.t"
        )
        self.run = self._new_run()

    def _new_run(self) -> Run:
        return Run.objects.create(ingestion=self.ingestion)

    def take_over(self, trip: Callable[[str], None]) -> Any:
        Run.objects.filter(pk=self.run.pk).exclude(lease_token="").update(
            lease_expires_at=timezone.now() - timedelta(seconds=1)
        )
        run = claim(run_id=str(self.run.pk))
        assert run is not None
        return Tripping(OrmStore(run, destination_key="c.d.t"), trip)

    def discovered(self) -> bool:
        return Run.objects.filter(pk=self.run.pk).exclude(discovered_at=None).exists()

    def run_ended(self) -> None:
        Run.objects.filter(pk=self.run.pk).update(status=Run.Status.SUCCESS, lease_token="", lease_expires_at=None)
        self.run = self._new_run()

    def cancel(self, wanted: bool) -> None:
        Run.objects.filter(pk=self.run.pk).update(cancel_requested_at=timezone.now() if wanted else None)

    def retry(self) -> None:
        for file in LedgerEntry.objects.filter(ingestion=self.ingestion, state=State.FAILED):
            if can_retry(file=file):
                file_retry(file=file)

    def rows(self) -> list[tuple[str, State, int]]:
        return _rows(LedgerEntry.objects.filter(ingestion=self.ingestion))

    def newest(self) -> list[tuple[str, State, int]]:
        return _rows(LedgerEntry.objects.filter(ingestion=self.ingestion).newest())

    def open_batches(self) -> set[str]:
        batches = Batch.objects.filter(ingestion=self.ingestion, state=Batch.State.OPEN)
        return {str(pk) for pk in batches.values_list("pk", flat=True)}

    def close(self) -> None:
        cluster = self.ingestion.cluster
        self.ingestion.delete()
        cluster.delete()


def _rows(entries: QuerySet[LedgerEntry]) -> list[tuple[str, State, int]]:
    return [
        (address, State(state), rows or 0) for address, state, rows in entries.values_list("address", "state", "rows")
    ]


class OrmMachine(LedgerMachine):
    def backend_made(self) -> OrmBackend:
        return OrmBackend()


@pytest.mark.django_db
def test_the_ledger_in_the_database_adds_up_whatever_happens() -> None:
    run_state_machine_as_test(
        OrmMachine,
        settings=settings(
            max_examples=30, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
