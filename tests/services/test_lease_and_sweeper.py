"""Who may work on a run, and what happens to runs that nobody works on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.models import OrmQ

from autoloader.lib.errors import LeaseLost
from autoloader.lib.logs import ContextFilter, log_context
from clusters.models import Cluster
from ingestions.engine.ledger import NewEntry, State
from ingestions.engine.sources.base import RemoteFile
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.lease import LeaseKeeper, claim, turn_give_back, turn_take
from ingestions.services.runs import RunActive, run_cancel, run_start
from ingestions.services.store import OrmStore
from ingestions.services.sweeper import sweep
from tests.engine.feeds import CONFIG

pytestmark = pytest.mark.django_db


@pytest.fixture
def ingestion() -> Ingestion:
    owner = get_user_model().objects.create_user("owner")
    cluster = Cluster.objects.create(name="c", url="sc://127.0.0.1:1", price_dbu_hour=0.4, price_storage_gb_month=0.02)
    return _ingestion(owner, cluster, "feed")


def _ingestion(owner: User, cluster: Cluster, name: str) -> Ingestion:
    return Ingestion.objects.create(owner=owner, name=name, cluster=cluster, config=CONFIG, destination_key="c.d.t")


def _claimed(run: Run) -> Run:
    claimed = claim(run_id=str(run.pk))
    assert claimed is not None
    return claimed


def _expire(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def _file(number: int) -> RemoteFile:
    return RemoteFile(f"file:///f{number}", "v1", 10, timezone.now())


def test_starting_a_run_inserts_the_run_and_its_task(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    (task,) = OrmQ.objects.all()
    assert task.task["args"] == (str(run.pk),)
    assert task.task["func"] == "ingestions.tasks.work"


def test_a_second_run_is_refused_while_one_is_active(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    with pytest.raises(RunActive) as refused:
        run_start(ingestion=ingestion)
    assert refused.value.run_id == str(run.pk)
    assert OrmQ.objects.count() == 1


def test_the_database_itself_refuses_two_active_runs(ingestion: Ingestion) -> None:
    Run.objects.create(ingestion=ingestion)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(ingestion=ingestion)


def test_the_same_idempotency_key_gives_the_same_run(ingestion: Ingestion) -> None:
    first = run_start(ingestion=ingestion, idempotency_key="k")
    assert run_start(ingestion=ingestion, idempotency_key="k") == first
    assert OrmQ.objects.count() == 1


def test_a_run_is_claimed_once(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    _claimed(run)
    assert claim(run_id=str(run.pk)) is None


def test_an_expired_lease_is_taken_over_and_counted(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    first = _claimed(run)
    _expire(run)
    second = _claimed(run)
    assert second.takeovers == 1
    assert second.lease_token != first.lease_token


def test_a_zombie_can_write_nothing(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    zombie = OrmStore(_claimed(run), destination_key="c.d.t")
    _expire(run)
    _claimed(run)
    with pytest.raises(LeaseLost):
        zombie.record([NewEntry(_file(1), State.DISCOVERED)])
    with pytest.raises(LeaseLost):
        zombie.fence()
    assert not LedgerEntry.objects.exists()


def test_an_expired_lease_that_nobody_took_goes_on(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    store = OrmStore(_claimed(run), destination_key="c.d.t")
    _expire(run)
    store.fence()
    assert Run.objects.get(pk=run.pk).lease_expires_at > timezone.now()  # type: ignore[operator]


def test_recording_the_same_files_twice_adds_them_once(ingestion: Ingestion) -> None:
    store = OrmStore(_claimed(run_start(ingestion=ingestion)), destination_key="c.d.t")
    entries = [NewEntry(_file(number), State.DISCOVERED) for number in range(3)]
    assert store.record(entries) == 3
    assert store.record(entries) == 0
    assert store.record([*entries, NewEntry(_file(9), State.SKIPPED, "empty")]) == 1
    assert Run.objects.get().files_skipped == 1


def test_two_ingestions_into_one_table_take_turns(ingestion: Ingestion) -> None:
    other = _ingestion(ingestion.owner, ingestion.cluster, "other")
    mine, theirs = (_claimed(run_start(ingestion=which)) for which in (ingestion, other))
    assert turn_take(run=mine, destination_key="c.d.t")
    assert turn_take(run=mine, destination_key="c.d.t"), "its own turn may be taken again"
    assert not turn_take(run=theirs, destination_key="c.d.t")
    turn_give_back(run=mine)
    assert turn_take(run=theirs, destination_key="c.d.t")


def test_the_sweeper_enqueues_a_run_whose_worker_is_gone(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    _claimed(run)
    OrmQ.objects.all().delete()
    assert sweep() == 0, "its lease still holds"
    Run.objects.update(enqueued_at=timezone.now() - timedelta(seconds=60))
    _expire(run)
    assert sweep() == 1
    assert OrmQ.objects.count() == 1
    assert sweep() == 0, "the new task gets its time"


def test_what_is_logged_of_a_run_beside_its_worker_carries_its_ids(
    ingestion: Ingestion, caplog: pytest.LogCaptureFixture, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that keeps the lease, and the sweeper in another process."""
    caplog.handler.addFilter(ContextFilter())
    caplog.set_level("INFO")
    run = run_start(ingestion=ingestion)
    with monkeypatch.context() as patch, log_context(run_id=str(run.pk), ingestion_id=str(ingestion.pk)):
        settings.LEASE_SECONDS = 0.04
        patch.setattr(LeaseKeeper, "renew", lambda self: False)
        with LeaseKeeper(run) as keeper:
            keeper._thread.join(10)
        settings.LEASE_SECONDS = 30
    OrmQ.objects.all().delete()
    Run.objects.update(enqueued_at=timezone.now() - timedelta(seconds=60))
    assert sweep() == 1
    for message in ("lease lost", "run enqueued again"):
        (line,) = [record for record in caplog.records if record.message == message]
        assert vars(line)["run_id"] == str(run.pk)
        assert vars(line)["ingestion_id"] == str(ingestion.pk)


def test_the_sweeper_leaves_a_run_alone_whose_task_waits(ingestion: Ingestion) -> None:
    run_start(ingestion=ingestion)
    Run.objects.update(enqueued_at=timezone.now() - timedelta(seconds=60))
    assert sweep() == 0
    OrmQ.objects.all().delete()
    assert sweep() == 1


def test_a_task_that_a_dead_cluster_had_taken_is_made_again(ingestion: Ingestion) -> None:
    run_start(ingestion=ingestion)
    Run.objects.update(enqueued_at=timezone.now() - timedelta(seconds=60))
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=1))
    assert sweep() == 1


def test_the_sweeper_wakes_a_run_when_its_wait_is_over(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    OrmQ.objects.all().delete()
    Run.objects.update(status="running", resume_at=timezone.now() + timedelta(seconds=60))
    assert claim(run_id=str(run.pk)) is None
    assert sweep() == 0
    Run.objects.update(resume_at=timezone.now() - timedelta(seconds=1))
    assert sweep() == 1
    assert claim(run_id=str(run.pk)) is not None


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_asked(ingestion: Ingestion) -> None:
    run = run_cancel(run=run_start(ingestion=ingestion))
    assert run.status == Run.Status.CANCELLED
    assert claim(run_id=str(run.pk)) is None
    second = run_start(ingestion=ingestion)
    _claimed(second)
    assert run_cancel(run=second).cancel_requested_at is not None
    assert Run.objects.get(pk=second.pk).status == Run.Status.RUNNING


def test_the_sweeper_ends_a_cancelled_run_whose_worker_is_gone(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    zombie = OrmStore(_claimed(run), destination_key="c.d.t")
    run_cancel(run=run)
    OrmQ.objects.all().delete()
    sweep()
    assert Run.objects.get().status == Run.Status.RUNNING, "its worker ends it"
    _expire(run)
    sweep()
    ended = Run.objects.get()
    assert (ended.status, ended.lease_token, ended.phase) == (Run.Status.CANCELLED, "", "")
    assert ended.ended_at is not None
    assert OrmQ.objects.count() == 0
    with pytest.raises(LeaseLost):
        zombie.fence()


def test_a_run_whose_worker_is_gone_is_cancelled_at_once(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    _claimed(run)
    _expire(run)
    assert run_cancel(run=run).status == Run.Status.CANCELLED


def test_a_run_between_two_slices_is_cancelled_at_once(ingestion: Ingestion) -> None:
    run = run_start(ingestion=ingestion)
    _claimed(run)
    Run.objects.update(lease_token="", lease_holder="", lease_expires_at=None)
    assert run_cancel(run=run).status == Run.Status.CANCELLED
    assert claim(run_id=str(run.pk)) is None
