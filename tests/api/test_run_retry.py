from __future__ import annotations

import pytest
from django_q.models import OrmQ

from ingestions.engine.ledger import State
from ingestions.models import Ingestion, LedgerEntry, Run
from tests.api.support import check_problem
from tests.cast import Api, make_file, make_run


@pytest.fixture
def partial(ingestion: Ingestion) -> Run:
    """One file loaded, two failed."""
    run = make_run(ingestion, files=1, errors=2)
    for number in (1, 2):
        make_file(ingestion, run=run, number=number, state=State.FAILED, reason="It ends early.", error_code="broken",
                  shape={"columns": []}, rows=None, snapshot_id=None)  # fmt: skip
    return run


def path(run: Run) -> str:
    return f"/ingestions/{run.ingestion_id}/runs/{run.pk}/retry"


def test_failed_files_wait_again_for_a_new_run(as_runner: Api, partial: Run) -> None:
    other = make_file(partial.ingestion, number=9, state=State.FAILED, error_code="older")
    response = as_runner.post(path(partial))
    assert response.status_code == 202, response.content
    again = Run.objects.get(pk=response.json()["run_id"])
    assert response.json() == {
        "run_id": str(again.pk),
        "ingestion_id": str(partial.ingestion_id),
        "status": "accepted",
    }
    assert (again.trigger, again.retry_of, again.status) == ("retry", partial, "queued")
    waiting = LedgerEntry.objects.filter(state=State.DISCOVERED)
    assert {(row.reason, row.error_code, row.shape, row.run_id) for row in waiting} == {("", "", None, None)}
    assert waiting.count() == 2
    other.refresh_from_db()
    assert other.state == State.FAILED
    assert OrmQ.objects.count() == 1
    assert as_runner.get(f"/ingestions/{partial.ingestion_id}/runs/{again.pk}").json()["retry_of"] == str(partial.pk)


def test_a_retry_beside_an_active_run_is_a_conflict_and_changes_nothing(as_runner: Api, partial: Run) -> None:
    active = Run.objects.create(ingestion=partial.ingestion)
    assert check_problem(as_runner.post(path(partial)), 409, "run_active")["run_id"] == str(active.pk)
    check_problem(as_runner.post(path(active)), 409, "run_active")
    assert LedgerEntry.objects.filter(state=State.FAILED).count() == 2


def test_a_run_that_succeeded_has_nothing_to_retry(as_runner: Api, run: Run) -> None:
    check_problem(as_runner.post(path(run)), 409, "nothing_to_retry")
    assert Run.objects.count() == 1


def test_a_partial_run_whose_files_were_mended_has_nothing_to_retry(as_runner: Api, partial: Run) -> None:
    as_runner.post(path(partial))
    Run.objects.filter(status="queued").update(status="success")
    check_problem(as_runner.post(path(partial)), 409, "nothing_to_retry")


def test_a_file_that_was_corrected_meanwhile_is_not_loaded_twice(as_runner: Api, partial: Run) -> None:
    corrected = make_file(partial.ingestion, number=1, version="etag-of-the-corrected-file")
    as_runner.post(path(partial))
    states = dict(LedgerEntry.objects.filter(address=corrected.address).values_list("version", "state"))
    assert states == {"etag-1": State.FAILED, "etag-of-the-corrected-file": State.LOADED}
    assert LedgerEntry.objects.filter(state=State.DISCOVERED).count() == 1


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_failed_as_a_whole_is_tried_again(as_runner: Api, ingestion: Ingestion, status: str) -> None:
    run = Run.objects.create(ingestion=ingestion, status=status)
    assert as_runner.post(path(run)).status_code == 202


def test_the_same_key_gives_the_same_retry(as_runner: Api, partial: Run) -> None:
    answers = [as_runner.post(path(partial), **{"Idempotency-Key": "again"}).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Run.objects.count() == 2


def test_who_may_not_retry(as_reader: Api, as_stranger: Api, partial: Run) -> None:
    check_problem(as_reader.post(path(partial)), 403, "scope_too_low")
    check_problem(as_stranger.post(path(partial)), 404, "run_not_found")
