"""Incremental listings with audits against whole ones, over the ledger in the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.lease import claim
from ingestions.services.store import OrmStore
from tests.engine.arrivals import ArrivalMachine
from tests.engine.feeds import CONFIG


class OrmPair:
    """Two ingestions; each listing is a run of its own."""

    def __init__(self, machine: OrmArrivals) -> None:
        self.machine = machine
        owner, _ = get_user_model().objects.get_or_create(username="owner")
        self.cluster = Cluster.objects.create(
            name="c", url="sc://127.0.0.1:1", price_dbu_hour=0.4, price_storage_gb_month=0.02
        )
        self.ingestions = {
            which: Ingestion.objects.create(
                owner=owner, name=which, cluster=self.cluster, config=CONFIG, destination_key="c.d.t"
            )
            for which in ("incremental", "whole")
        }

    def _store(self, which: str) -> Any:
        Run.objects.filter(ingestion=self.ingestions[which]).update(status=Run.Status.SUCCESS, lease_token="")
        run = claim(run_id=str(Run.objects.create(ingestion=self.ingestions[which]).pk))
        assert run is not None
        # the fence goes by the bucket's clock too, so that two looks are as far apart as there
        return OrmStore(run, destination_key="c.d.t", now=lambda: self.machine.bucket.now)

    def incremental(self) -> Any:
        return self._store("incremental")

    def whole(self) -> Any:
        return self._store("whole")

    def rows(self, which: str) -> dict[tuple[str, str], State]:
        entries = LedgerEntry.objects.filter(ingestion=self.ingestions[which])
        return {(address, version): State(state) for address, version, state in
                entries.values_list("address", "version", "state")}  # fmt: skip

    def close(self) -> None:
        for ingestion in self.ingestions.values():
            ingestion.delete()
        self.cluster.delete()


class OrmArrivals(ArrivalMachine):
    def pair_made(self) -> OrmPair:
        return OrmPair(self)


@pytest.mark.django_db
def test_incremental_listings_with_audits_find_what_whole_ones_find_in_the_database() -> None:
    run_state_machine_as_test(
        OrmArrivals,
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
