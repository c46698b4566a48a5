"""What is said of a run while it goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import Cluster
from ingestions.engine.discovery import discover
from ingestions.engine.sources.base import RemoteFile
from ingestions.models import Batch, Ingestion, Run
from ingestions.services import present
from ingestions.services.lease import claim
from ingestions.services.runs import run_start
from ingestions.services.store import OrmStore
from tests.cast import cluster, ingestion, make_ingestion, owner

__all__ = ["cluster", "ingestion", "owner"]
pytestmark = pytest.mark.django_db
NOW = timezone.now


def running(ingestion: Ingestion) -> Run:
    """Queued an hour ago, begun a minute ago."""
    now = NOW()
    run = Run.objects.create(
        ingestion=ingestion, status="running", started_at=now - timedelta(seconds=60), discovered_at=now,
        files_total=10, bytes_total=10_000,
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(queued_at=now - timedelta(hours=1))
    return Run.objects.get(pk=run.pk)


def publish(run: Run, *, began: float, ended: float, size: int = 1000, rows: int = 100) -> None:
    """A batch of it; seconds ago."""
    number = run.batches.count() + 1
    batch = Batch.objects.create(
        ingestion=run.ingestion, run=run, destination_key=run.ingestion.destination_key, number=number, state="loaded",
        bytes=size, rows=rows, snapshot_id=number, ended_at=NOW() - timedelta(seconds=ended),
    )  # fmt: skip
    Batch.objects.filter(pk=batch.pk).update(created_at=NOW() - timedelta(seconds=began))
    run.bytes_done += size
    run.rows_done += rows
    run.batches_done += 1
    run.save()


def test_nothing_is_guessed_before_the_first_batch_is_published(ingestion: Ingestion) -> None:
    told = present.progress(running(ingestion))
    assert (told["rows_per_second"], told["seconds_left"]) == (None, None)


def test_rate_and_time_left_come_from_the_batches_only(ingestion: Ingestion) -> None:
    run = running(ingestion)
    publish(run, began=20, ended=10)  # 10 s, then nothing for 5 s: a wait
    publish(run, began=5, ended=0)
    told = present.progress(run)
    assert told["rows_per_second"] == pytest.approx(200 / 15, abs=0.2)
    assert told["seconds_left"] == pytest.approx(8000 / (2000 / 15), abs=1)


def test_of_a_run_that_waits_for_its_cluster_nobody_knows_what_is_left(ingestion: Ingestion) -> None:
    run = running(ingestion)
    publish(run, began=5, ended=0)
    run.waits_for = "cluster:x"
    assert present.progress(run)["seconds_left"] is None


def test_time_left_shrinks_within_a_batch_but_not_for_ever(ingestion: Ingestion) -> None:
    run = running(ingestion)
    publish(run, began=14, ended=4)  # 100 bytes a second: 9,000 left
    assert present.progress(run)["seconds_left"] == pytest.approx(90 - 4, abs=1)
    Batch.objects.update(ended_at=NOW() - timedelta(seconds=50), created_at=NOW() - timedelta(seconds=60))
    assert present.progress(run)["seconds_left"] == pytest.approx(90 - 10, abs=1)


def test_a_batch_that_another_run_began_counts_from_this_runs_start(ingestion: Ingestion) -> None:
    run = running(ingestion)
    publish(run, began=100_000, ended=0)
    assert present.progress(run)["rows_per_second"] == pytest.approx(100 / 60, abs=0.1)


def test_a_run_that_has_ended_has_nothing_left(ingestion: Ingestion) -> None:
    run = running(ingestion)
    run.status = "success"
    assert present.progress(run)["seconds_left"] == 0
    assert present.progress(run)["rows_per_second"] == 0


def test_a_long_listing_tells_how_many_objects_it_has_seen(
    owner: User, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingestion = make_ingestion(owner, cluster)
    run = claim(run_id=str(run_start(ingestion=ingestion).pk))
    assert run is not None
    store = OrmStore(run, destination_key=ingestion.destination_key)
    store.listing(0)
    assert Run.objects.get().phase == "listing the source"

    class Source:
        def list(self, start_after: str | None = None):  # type: ignore[no-untyped-def]
            return (RemoteFile(f"s3://shop/orders/{n:05}.csv", "1", 5, NOW()) for n in range(2500))

    seen: list[tuple[int, str]] = []

    def tell(listed: int) -> None:
        store.listing(listed)
        seen.append(Run.objects.values_list("files_listed", "phase").get())

    monkeypatch.setattr("ingestions.engine.discovery.TELL_SECONDS", 0.0)
    discover(Source(), store, ingestion.configuration().source, now=NOW, tell=tell)  # type: ignore[arg-type]
    assert seen[0] == (1000, "listing the source: 1,000 objects so far")
    assert seen[-1][0] == 2500


def test_listing_is_told_at_most_once_a_second(ingestion: Ingestion) -> None:
    run = claim(run_id=str(run_start(ingestion=ingestion).pk))
    assert run is not None
    store = OrmStore(run, destination_key=ingestion.destination_key)

    class Source:
        def list(self, start_after: str | None = None):  # type: ignore[no-untyped-def]
            return (RemoteFile(f"s3://shop/orders/{n:05}.txt", "1", 5, NOW()) for n in range(20_000))

    told: list[int] = []
    begun = NOW()
    discover(Source(), store, ingestion.configuration().source, now=NOW, tell=told.append)  # type: ignore[arg-type]
    assert len(told) <= (NOW() - begun).total_seconds()
