"""Schedulers as processes of their own, several of them on one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.installation import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

FEEDS = 60
MAKE = """
from datetime import timedelta
from django.contrib.auth import get_user_model
from django.utils import timezone
from clusters.models import Cluster
from ingestions.models import Ingestion
from tests.cast import make_ingestion
admin, cluster = get_user_model().objects.get(), Cluster.objects.get()
due = timezone.now() - timedelta(seconds=5)
for number in range(%d):
    row = make_ingestion(admin, cluster, name=f"Feed {number}", schedule={"frequency": "hourly"}, status="active")
    Ingestion.objects.filter(pk=row.pk).update(next_run_at=due, next_run_set_at=due)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    more = {"DATABASE_URL": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = Installation(tmp_path / "installation", "sc://127.0.0.1:1", **more)
    yield made
    made.stop_all()


def test_each_fire_makes_one_run_whoever_is_killed_meanwhile(installation: Installation) -> None:
    for name in ("one", "two", "three"):
        installation.start(name, "run_scheduler", "--tick", "0.05")
    installation.until("schedulers beat", lambda: installation.query(BEATS)[0][0] >= 3, 60)
    installation.python(MAKE % FEEDS)
    installation.kill("one")
    installation.until(
        "all are fired", lambda: installation.query("select count(*) from ingestions_run")[0][0] >= FEEDS, 60
    )
    (runs, feeds, instants) = installation.query(
        "select count(*), count(distinct ingestion_id), count(distinct scheduled_for) from ingestions_run"
    )[0]
    assert (runs, feeds, instants) == (FEEDS, FEEDS, 1)
    assert installation.query("select count(*) from django_q_ormq") == [(FEEDS,)]
    assert installation.query("select count(*) from ingestions_ingestion where next_run_at is null") == [(0,)]


BEATS = "select count(*) from ingestions_heartbeat where kind = 'scheduler'"
