"""``python -m benchmarks.due_at_once``: many ingestions are due in the same minute; how long until the last of them is
in the queue. Schedulers of ``manage.py run_scheduler`` do it; each round is measured from the instant at which all are
due. SQLite as an installation has it (each commit on the disk), or the database of ``DATABASE_URL``.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

#: seconds between two looks of `manage.py run_scheduler`.
TICK = 1.0
MUST, AIM = 5.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingestions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--schedulers", type=int, default=1, help="processes that look at the same time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autoloader-bench-") as folder:
        os.environ.update(
            AUTOLOADER_DATA_DIR=folder, AUTOLOADER_LOG_LEVEL="ERROR", DJANGO_SETTINGS_MODULE="autoloader.settings"
        )
        import django

        django.setup()
        _measure(options.ingestions, options.rounds, options.schedulers)


def _measure(count: int, rounds: int, schedulers: int) -> None:
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _make(count)
    others = [_process() for _ in range(schedulers)]
    try:
        _round(count)  # they are up and warm then
        took = sorted(_round(count) for _ in range(rounds))
    finally:
        for other in others:
            other.terminate()
            other.wait()
    p99 = took[min(int(len(took) * 0.99), len(took) - 1)]
    engine = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    print(
        f"{count:,} ingestions due at once, {schedulers} scheduler(s), {engine}, {rounds} rounds: "
        f"median {took[len(took) // 2]:.2f} s, p99 {p99:.2f} s until all are enqueued (must {MUST:g} s, aim {AIM:g} s)"
    )
    if p99 > MUST:
        sys.exit(1)


def _make(count: int) -> None:
    from django.contrib.auth import get_user_model

    from clusters.models import Cluster
    from ingestions.engine.config import IngestionConfig
    from ingestions.models import Ingestion

    owner = get_user_model().objects.create_user("bench")
    cluster = Cluster.objects.create(name="c", url="sc://127.0.0.1:1", price_dbu_hour=0.4, price_storage_gb_month=0.02)
    body = {
        "name": "Feed",
        "cluster_id": str(cluster.pk),
        "source": {"type": "s3", "path": "s3://shop/orders/"},
        "format": {"type": "csv"},
        "destination": {"catalog": "c", "database": "d", "table": "t"},
        "schedule": {"frequency": "daily", "time": "02:30", "timezone": "Europe/Berlin"},
    }
    config = IngestionConfig.model_validate(body)
    Ingestion.objects.bulk_create(
        Ingestion(
            owner=owner, name=f"Feed {n}", cluster=cluster, status="active", config=config.to_json(),
            destination_key=config.destination.key,
        )
        for n in range(count)
    )  # fmt: skip


def _round(count: int) -> float:
    """Seconds from the instant at which all are due until the last of them is enqueued, as another process sees it."""
    from django.utils import timezone
    from django_q.models import OrmQ

    from ingestions.models import Ingestion, Run

    OrmQ.objects.all().delete()
    Run.objects.all().delete()
    due = timezone.now() + timedelta(seconds=0.5 + random.random() * TICK)  # somewhere between two looks
    Ingestion.objects.update(next_run_at=due, next_run_set_at=timezone.now())
    while OrmQ.objects.count() < count:
        time.sleep(0.05)
    took = (timezone.now() - due).total_seconds()
    if (found := (Run.objects.count(), OrmQ.objects.count())) != (count, count):
        raise RuntimeError(f"not one run and one task for each: {found}")
    return took


def _process() -> subprocess.Popen[bytes]:
    manage = Path(__file__).resolve().parents[1] / "manage.py"
    return subprocess.Popen([sys.executable, str(manage), "run_scheduler"], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
