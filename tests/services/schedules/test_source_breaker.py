"""Many runs of one store that is gone: one of them tries now and then, the others hold nobody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autoloader.lib.processes import free_port
from clusters.models import Cluster, ClusterBreaker
from ingestions.engine.config import Credentials
from ingestions.models import Ingestion, Run, SourceBreaker
from ingestions.services.execution import run_work
from ingestions.services.ingestions import credential_keep
from ingestions.services.runs import run_cancel, run_start
from ingestions.services.source_gate import source_try_again
from ingestions.services.sweeper import sweep
from tests.cast import make_ingestion

pytestmark = pytest.mark.django_db(transaction=True)

EMPTY = (
    b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>shop</Name>'
    b"<KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"
)


class Store:
    """A store that answers ``status``, and counts how often it is asked; 200: an empty bucket."""

    def __init__(self) -> None:
        self.status, self.asked = 503, 0
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.asked += 1
                body = EMPTY if store.status == 200 else b""
                self.send_response(store.status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def runs(owner: User, cluster: Cluster, store: Store) -> list[Run]:
    """Five ingestions of one bucket, a run of each."""
    return [run_start(ingestion=feed(owner, cluster, store, number)) for number in range(5)]


def feed(owner: User, cluster: Cluster, store: Store, number: int, bucket: str = "shop") -> Ingestion:
    source = {"type": "s3", "path": f"s3://{bucket}/{number}/"}
    row = make_ingestion(owner, cluster, name=f"Feed {number}", source=source)
    keys = Credentials(aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=store.url, region_name="x")
    row.credential = credential_keep(owner=owner, name="k", cloud="s3", credentials=keys, inline=True)
    row.save()
    return row


def work(runs: list[Run]) -> None:
    for run in runs:
        run_work(run_id=str(run.pk))


def fresh(runs: list[Run]) -> list[Run]:
    return [Run.objects.get(pk=run.pk) for run in runs]


def overdue() -> None:
    past = timezone.now() - timedelta(seconds=1)
    SourceBreaker.objects.update(next_try_at=past)
    Run.objects.active().exclude(waits_for="").update(resume_at=past)


def test_after_three_failures_of_whichever_runs_nobody_asks_any_more(runs: list[Run], store: Store) -> None:
    work(runs[:3])
    asked = store.asked
    assert asked > 0
    breaker = SourceBreaker.objects.get()
    assert (breaker.store, breaker.is_open) == (f"s3://shop at {store.url}", True)
    assert not ClusterBreaker.objects.exclude(opened_at=None).exists(), "the cluster is not to blame"
    work(runs[3:])
    assert store.asked == asked
    for run in fresh(runs)[2:]:
        assert (run.status, run.lease_token, run.transient_failures) == ("running", "", 0)
        assert run.resume_at == breaker.next_try_at
        assert run.phase.startswith(f"waiting for the store s3://shop at {store.url}: The storage asks for fewer")


def test_when_it_answers_again_all_go_on(runs: list[Run], store: Store) -> None:
    work(runs)
    store.status = 200
    overdue()
    assert sweep() == 1, "one of them tries for all"
    tries = Run.objects.exclude(waits_for="").get(resume_at=None)
    work([tries])
    assert Run.objects.get(pk=tries.pk).status == "success"
    assert SourceBreaker.objects.get().opened_at is None
    Run.objects.active().exclude(resume_at=None).update(resume_at=timezone.now())
    sweep()
    work(runs)
    assert {run.status for run in fresh(runs)} == {"success"}
    assert SourceBreaker.objects.get().failures == 0


def test_a_try_in_vain_makes_all_wait_twice_as_long(runs: list[Run], store: Store) -> None:
    work(runs)
    overdue()
    work(runs[3:4])
    breaker = SourceBreaker.objects.get()
    assert (breaker.trips, breaker.prober) == (2, "")
    assert breaker.next_try_at is not None
    assert (breaker.next_try_at - timezone.now()).total_seconds() > 15
    assert {run.resume_at for run in fresh(runs)[2:]} == {breaker.next_try_at}


def test_another_bucket_goes_on(runs: list[Run], store: Store, owner: User, cluster: Cluster) -> None:
    work(runs)
    store.status = 200
    other = run_start(ingestion=feed(owner, cluster, store, 9, bucket="other"))
    work([other])
    assert fresh([other])[0].status == "success"


def test_trying_again_by_hand_wakes_all_that_wait(runs: list[Run], store: Store) -> None:
    work(runs)
    store.status = 200
    assert source_try_again(store=f"s3://shop at {store.url}") is True
    assert sweep() == 3


def test_a_run_that_waits_is_cancelled_at_once_and_one_that_waited_too_long_fails(runs: list[Run]) -> None:
    work(runs)
    assert run_cancel(run=fresh(runs)[4]).status == "cancelled"
    Run.objects.active().exclude(waits_for="").update(waits_since=timezone.now() - timedelta(hours=2))
    overdue()
    SourceBreaker.objects.update(next_try_at=timezone.now() + timedelta(seconds=60))
    work(runs[3:4])
    failed = fresh(runs)[3]
    assert (failed.status, failed.error_code) == ("failed", "store_away")
    assert "did not answer for 60 minutes" in failed.error_message
