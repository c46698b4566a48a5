"""A worker's side of a run: claim it, work a slice, write down how it stands."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from autoloader.lib.breaker import Waits
from autoloader.lib.database import AWAY, database_away
from autoloader.lib.errors import AutoloaderError, ConfigError, DeadlineError, LeaseLost, TransientError
from autoloader.lib.logs import log_context
from clusters import sessions
from clusters.models import Cluster
from ingestions.engine.backfill import without_times
from ingestions.engine.config import IngestionConfig
from ingestions.engine.context import Context
from ingestions.engine.ledger import AttemptState
from ingestions.engine.loader import open_loader
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.run import Outcome, run_slice
from ingestions.engine.sources.base import Source
from ingestions.models import Run, RunError
from ingestions.models.run import PHASE_LENGTH, RunQuerySet
from ingestions.services import breakers
from ingestions.services.alerts import run_ended
from ingestions.services.backfill import within
from ingestions.services.breakers import ClusterGate
from ingestions.services.cancel import CancelWatch
from ingestions.services.continuous import may_stay_open
from ingestions.services.discovering import audit_of
from ingestions.services.lease import LeaseKeeper, claim, turn_give_back, turn_take
from ingestions.services.places import places_offer
from ingestions.services.refresh_work import Report, TurnBusy, begun, refresh_finish
from ingestions.services.retries import retry_at
from ingestions.services.runs import next_in_queue, others_wait, run_enqueue, run_put_back
from ingestions.services.source import source_of
from ingestions.services.source_gate import StoreWaits, source_gate
from ingestions.services.starting import start_of
from ingestions.services.store import OrmStore
from ingestions.worker import stop_requested

logger = logging.getLogger(__name__)

#: failures in a row without progress after which a run gives up; waits between them double from 2 s to 60 s.
MAX_TRANSIENT_FAILURES = 8
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 60
TURN_WAIT_SECONDS = 2
#: runs that one task looks at, where others have them or there is no place for them.
TRIES = 5


class TurnTaken(TransientError):
    """Another of our ingestions is writing into the table; it is no failure to wait for it."""


def run_work(*, run_id: str) -> bool:
    """One slice of the run. A no-op (``False``) where it has ended, waits, is held by somebody else or finds no place,
    and where the database is away: then the run's lease runs out, and whoever takes it over looks how far it came."""
    try:
        worked = _work(run_id)
        if worked:
            places_offer(timezone.now())
        return worked
    except AWAY as error:
        logger.warning("the database is away", extra={"run_id": run_id, "reason": database_away(error).message})
        connection.close()
        return True


def run_work_next(*, run_id: str) -> None:
    """One slice of the most urgent run that waits in the queue, for which this run's task stands as well as its own:
    there are at least as many tasks as runs that wait. With no priorities it is this run's."""
    tried: set[str] = set()
    while len(tried) < TRIES and (chosen := next_in_queue(run_id=run_id, but=tried)) is not None:
        if run_work(run_id=chosen):
            return
        tried.add(chosen)


def _work(run_id: str) -> bool:
    if stop_requested():
        run_put_back(run_id=run_id)
        return True
    run = claim(run_id=run_id)
    if run is None:
        return False
    with log_context(run_id=str(run.pk), ingestion_id=str(run.ingestion_id)), LeaseKeeper(run):
        if run.idle_since is not None:  # its quiet time is over
            _end(run)
            return True
        try:
            with CancelWatch(run) as watch:
                outcome = _slice(run, watch)
        except LeaseLost as lost:
            logger.warning(lost.message)
        except (TurnTaken, TurnBusy) as taken:
            _wait(run, TURN_WAIT_SECONDS, taken.message)
        except Waits as waits:
            _wait_for(run, waits)
        except TransientError as error:
            _failed_for_now(run, error)
        except AutoloaderError as error:
            logger.warning("run failed", extra={"code": error.code, "reason": error.message})
            _finish(run, Run.Status.FAILED, error)
        except AWAY as error:
            connection.close()
            _failed_for_now(run, database_away(error))
        except Exception:
            logger.exception("run failed by a fault of our own")
            fault = AutoloaderError(
                "internal", "The run stopped by a fault of Autoloader itself.", "Its log has the details; report it."
            )
            _finish(run, Run.Status.FAILED, fault)
        else:
            _settle(run, outcome)
    return True


def run_to_end(*, run_id: str, timeout: float) -> Run:
    """Works slices in this process until the run has ended (another worker may share it). Raises DeadlineError."""
    deadline = time.monotonic() + timeout
    while True:
        run_work(run_id=run_id)
        run = Run.objects.get(pk=run_id)
        if not run.is_active:
            return run
        if time.monotonic() > deadline:
            raise DeadlineError("run_not_ended", f"The run {run_id} did not end within {timeout:g} s.", "")
        time.sleep(0.2)


def _slice(run: Run, watch: CancelWatch) -> Outcome:
    config = _frozen(run)
    if run.backfill is not None:
        config = without_times(config)
    run.ingestion.cluster = _cluster(run, config)
    gate = ClusterGate(run)
    with gate.through(run.ingestion.cluster):
        return _on_cluster(run, config, watch, gate)


def _on_cluster(run: Run, config: IngestionConfig, watch: CancelWatch, gate: ClusterGate) -> Outcome:
    key = config.destination.key
    store = OrmStore(run, destination_key=key)
    if begun(run.ingestion):
        store.phase("finishing the refresh that was begun")
        refresh_finish(ingestion=run.ingestion, report=Report())
    with source_gate(run, config, lambda: source_of(run.ingestion, config)) as source:

        @contextmanager
        def opened() -> Iterator[TableLoader]:
            if not turn_take(run=run, destination_key=key):
                raise TurnTaken("turn_taken", f"Another ingestion is writing into {key}.")
            try:
                with loader_open(run=run, config=config, source=source, watch=watch) as loader:
                    gate.used = True
                    yield loader
            finally:
                turn_give_back(run=run)

        def interrupt(attempt: AttemptState) -> None:
            sessions.interrupt(sessions.target_of(run.ingestion.cluster), attempt.session_id, attempt.tag)

        with within(source, run, store) as looked_at:
            context = Context(
                config=config,
                source=looked_at,
                store=store,
                open_loader=opened,
                interrupt=interrupt,
                now=timezone.now,
                should_stop=stop_requested,
                others_wait=lambda: others_wait(run=run),
                start=start_of(run.ingestion, config),
                audit=audit_of(config),
                remembers=run.backfill is None,
            )
            return run_slice(context, budget_seconds=settings.SLICE_SECONDS)


@contextmanager
def loader_open(*, run: Run, config: IngestionConfig, source: Source, watch: CancelWatch) -> Iterator[TableLoader]:
    """The destination's loader in a leased session that reads this source with this ingestion's own credentials."""
    access = source.spark_access()
    target = sessions.target_of(run.ingestion.cluster)
    with sessions.pool().lease(
        target, timezone=config.format.timezone, conf=access.conf, fingerprint=access.fingerprint
    ) as lease:
        loader = open_loader(
            lease.spark,
            session_id=lease.session_id,
            config=config,
            access=access,
            weigh=source.weigh,
            maker=str(run.ingestion_id),
        )
        with watch.over(loader, lease.interrupt) as watched:
            yield watched


def _frozen(run: Run) -> IngestionConfig:
    """The configuration the run started with, whatever was edited since."""
    if run.config is None:
        run.config = run.ingestion.config
        Run.objects.filter(pk=run.pk, config__isnull=True).update(config=run.config)
    return IngestionConfig.model_validate(run.config)


def _cluster(run: Run, config: IngestionConfig) -> Cluster:
    """The cluster the run started on, whatever was edited since."""
    if config.cluster_id == str(run.ingestion.cluster_id):
        return run.ingestion.cluster
    try:
        found = Cluster.objects.filter(pk=uuid.UUID(config.cluster_id)).first()
    except ValueError:
        return run.ingestion.cluster
    if found is None:
        raise ConfigError(
            "cluster_gone", "The cluster that this run started on was deleted.", "Start a new run on the present one."
        )
    return found


# ---- how it stands afterwards


def _mine(run: Run) -> RunQuerySet:
    return Run.objects.filter(pk=run.pk, lease_token=run.lease_token, status=Run.Status.RUNNING)


_FREE = {"lease_token": "", "lease_holder": "", "lease_expires_at": None}


def _settle(run: Run, outcome: Outcome) -> None:
    if outcome is Outcome.MORE:
        with transaction.atomic():
            if _mine(run).filter(cancel_requested_at=None).update(**_FREE):
                run_enqueue(run=run)
                return
        outcome = Outcome.CANCELLED  # or another worker has it, and this changes nothing
    if outcome is Outcome.CANCELLED:
        _finish(run, Run.Status.CANCELLED, None)
        return
    if not may_stay_open(run, timezone.now()) or not _stay_open(run):
        _end(run)


def _stay_open(run: Run) -> bool:
    """The run of a continuous ingestion waits for what comes next, without a worker; who looks at the source wakes it,
    or the scheduler when nothing has come for a while."""
    now = timezone.now()
    idle = {
        "idle_since": now,
        "resume_at": now + timedelta(seconds=settings.QUIET_SECONDS),
        "discovered_at": None,
        "phase": "waiting for new files",
        "transient_failures": 0,
    }
    return bool(_mine(run).filter(cancel_requested_at=None).update(**idle, **_FREE))


def _end(run: Run) -> None:
    """As what became of its files says."""
    counts = Run.objects.values("files_failed", "files_held", "files_loaded").get(pk=run.pk)
    failed = counts["files_failed"]
    if failed and not counts["files_loaded"] and not counts["files_held"]:
        error = AutoloaderError(
            "all_files_failed",
            f"None of the {failed:,} new files could be read." if failed > 1 else "The new file could not be read.",
            "The errors below name each file; correct the format or the files, then retry.",
        )
        _finish(run, Run.Status.FAILED, error)
    else:
        whole = not failed and not counts["files_held"]
        _finish(run, Run.Status.SUCCESS if whole else Run.Status.PARTIAL, None)


def _finish(run: Run, status: Run.Status, error: AutoloaderError | None) -> None:
    """Ends the run, if it is still ours."""
    told = {
        "error_code": error.code if error else "",
        "error_message": error.message if error else "",
        "error_hint": error.hint if error else "",
    }
    now = timezone.now()
    with transaction.atomic():
        again = retry_at(run, error, now) if status == Run.Status.FAILED else None
        ended = {"status": status, "ended_at": now, "phase": "", "retry_at": again}
        if not _mine(run).update(**ended, **told, **_FREE):
            return
        if error is not None:
            RunError.objects.create(run=run, error_type=error.code, message=error.message, hint=error.hint)
        run_ended(run_id=run.pk, now=now)
    logger.info("run ended", extra={"status": str(status)})


def _failed_for_now(run: Run, error: TransientError) -> None:
    stands = Run.objects.only("transient_failures", "cancel_requested_at").get(pk=run.pk)
    failures = stands.transient_failures + 1
    if failures >= MAX_TRANSIENT_FAILURES and stands.cancel_requested_at is None:
        _finish(run, Run.Status.FAILED, error)
        return
    wait = min(FIRST_WAIT_SECONDS * 2 ** (failures - 1), LONGEST_WAIT_SECONDS)
    logger.info("run waits", extra={"seconds": wait, "code": error.code, "reason": error.message})
    _wait(run, wait, f"waiting to try again: {error.message}", transient_failures=failures)


def _wait_for(run: Run, waits: Waits) -> None:
    awaited = waits.awaited if isinstance(waits, StoreWaits) else breakers.of_cluster(run.ingestion.cluster)
    try:
        _let_wait(run, **breakers.waiting(run, awaited, waits, timezone.now()))
    except TransientError as error:
        _finish(run, Run.Status.FAILED, error)


def _wait(run: Run, seconds: float, phase: str, **changes: int) -> None:
    _let_wait(run, resume_at=timezone.now() + timedelta(seconds=seconds), phase=phase[:PHASE_LENGTH], **changes)


def _let_wait(run: Run, **changes: object) -> None:
    """Gives the run back; the scheduler enqueues it again when the wait is over. No worker is held meanwhile. One that
    was asked to stop waits for nothing; if a batch of it is open, the next run looks how far it came.
    """
    if not _mine(run).filter(cancel_requested_at=None).update(**changes, **_FREE):
        _finish(run, Run.Status.CANCELLED, None)
