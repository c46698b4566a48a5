from __future__ import annotations

from django_q.models import OrmQ

from ingestions.models import Ingestion, Run
from tests.api.support import check_problem
from tests.cast import Api, make_run


def test_a_run_is_accepted_and_put_into_the_queue(as_runner: Api, ingestion: Ingestion) -> None:
    response = as_runner.post(f"/ingestions/{ingestion.pk}/run")
    run = Run.objects.get()
    assert response.status_code == 202
    assert response.json() == {"run_id": str(run.pk), "ingestion_id": str(ingestion.pk), "status": "accepted"}
    assert (run.status, run.trigger) == ("queued", "manual")
    assert run.requested_by == ingestion.owner
    assert OrmQ.objects.count() == 1


def test_a_second_run_is_a_conflict_that_names_the_first(as_runner: Api, ingestion: Ingestion) -> None:
    first = as_runner.post(f"/ingestions/{ingestion.pk}/run").json()
    problem = check_problem(as_runner.post(f"/ingestions/{ingestion.pk}/run"), 409, "run_active")
    assert problem["run_id"] == first["run_id"]
    assert Run.objects.count() == OrmQ.objects.count() == 1


def test_the_same_idempotency_key_gives_the_same_run(as_runner: Api, ingestion: Ingestion) -> None:
    path = f"/ingestions/{ingestion.pk}/run"
    answers = [as_runner.post(path, **{"Idempotency-Key": "night-1"}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    Run.objects.update(status=Run.Status.SUCCESS)
    assert as_runner.post(path, **{"Idempotency-Key": "night-1"}).json() == answers[0].json()
    assert as_runner.post(path, **{"Idempotency-Key": "night-2"}).json() != answers[0].json()
    assert Run.objects.count() == 2


def test_an_idempotency_key_that_is_too_long_is_a_422(as_runner: Api, ingestion: Ingestion) -> None:
    response = as_runner.post(f"/ingestions/{ingestion.pk}/run", **{"Idempotency-Key": "x" * 201})
    check_problem(response, 422, "invalid_request")


def test_a_stranger_cannot_start_one(as_stranger: Api, ingestion: Ingestion) -> None:
    check_problem(as_stranger.post(f"/ingestions/{ingestion.pk}/run"), 404, "ingestion_not_found")
    assert not Run.objects.exists()


def test_a_queued_run_is_cancelled_at_once(as_runner: Api, ingestion: Ingestion) -> None:
    run_id = as_runner.post(f"/ingestions/{ingestion.pk}/run").json()["run_id"]
    response = as_runner.post(f"/ingestions/{ingestion.pk}/runs/{run_id}/cancel")
    assert response.status_code == 202
    assert response.json()["status"] == "cancelled"


def test_a_running_one_is_asked_to_stop(as_runner: Api, ingestion: Ingestion) -> None:
    run = Run.objects.create(ingestion=ingestion, status=Run.Status.RUNNING, lease_token="word")
    response = as_runner.post(f"/ingestions/{ingestion.pk}/runs/{run.pk}/cancel")
    assert (response.status_code, response.json()["status"]) == (202, "running")
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_a_run_that_has_ended_cannot_be_cancelled(as_runner: Api, ingestion: Ingestion) -> None:
    run = make_run(ingestion)
    check_problem(as_runner.post(f"/ingestions/{ingestion.pk}/runs/{run.pk}/cancel"), 409, "run_ended")


def test_a_stranger_cannot_cancel_one(as_stranger: Api, ingestion: Ingestion) -> None:
    run = Run.objects.create(ingestion=ingestion)
    check_problem(as_stranger.post(f"/ingestions/{ingestion.pk}/runs/{run.pk}/cancel"), 404, "run_not_found")
