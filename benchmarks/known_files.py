"""How much slower is a run of ten new files when 10,000 files are known already?

Both runs load ten new CSV files into a table that exists, on one warm session of the embedded Spark; the second
ingestion's folder and ledger hold 10,000 files more. The listing alone is timed beside it. Median of ``--rounds``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Django is set up first
    from ingestions.engine.sources.base import Source
    from ingestions.models import Ingestion

KNOWN = 10_000
NEW = 10


def prepare(folder: Path) -> None:
    """An installation of its own below ``folder``, and Django over it."""
    os.environ["AUTOLOADER_DATA_DIR"] = str(folder / "data")
    os.environ["AUTOLOADER_LOCAL_ROOTS"] = str(folder / "files")
    os.environ["AUTOLOADER_LOG_LEVEL"] = "ERROR"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autoloader.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _write(folder: Path, first: int, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"f{number:06d}.csv").write_text("id,name\n" + f"{number},a\n" * 5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        from clusters.embedded import start_server

        server = start_server(folder / "spark")
        try:
            _measure(folder, server.url, rounds)
        finally:
            server.stop()


def _measure(folder: Path, url: str, rounds: int) -> None:
    from django.contrib.auth import get_user_model

    from clusters.models import Cluster
    from ingestions.services.execution import run_to_end
    from ingestions.services.ingestions import ingestion_create
    from ingestions.services.runs import run_start

    owner = get_user_model().objects.create_superuser("bench", password="bench")
    cluster = Cluster.objects.create(
        name="c", url=url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.023, default_catalog="local"
    )

    def made(table: str) -> Ingestion:
        config = {
            "name": table,
            "cluster_id": str(cluster.pk),
            "source": {"type": "local", "path": str(folder / "files" / table)},
            "format": {"type": "csv"},
            "destination": {"catalog": "local", "database": "bench", "table": table},
        }
        return ingestion_create(owner=owner, config=config)[0]

    def seconds(ingestion: Ingestion) -> float:
        started = time.perf_counter()
        run = run_to_end(run_id=str(run_start(ingestion=ingestion).pk), timeout=120)
        assert run.status == "success", run.error_message
        assert run.files_loaded in (1, NEW)
        return time.perf_counter() - started

    ingestions = {}
    for table in ("none_known", "many_known"):
        _write(folder / "files" / table, 0, 1)
        ingestions[table] = made(table)
        seconds(ingestions[table])
    _know(ingestions["many_known"], folder / "files" / "many_known")
    measured: dict[str, list[float]] = {"none_known": [], "many_known": [], "listing": []}
    for number in range(rounds):
        for table, ingestion in ingestions.items():
            _write(folder / "files" / table, 100_000 + number * NEW, NEW)
            measured[table].append(seconds(ingestion))
        measured["listing"].append(_listing(ingestions["many_known"]))
    medians = {key: statistics.median(values) for key, values in measured.items()}
    print(f"ten new files, none known       {medians['none_known']:.2f} s")
    print(f"ten new files, {KNOWN} known     {medians['many_known']:.2f} s")
    print(f"listing of {KNOWN} files alone   {medians['listing']:.2f} s")
    slower = medians["many_known"] - medians["none_known"] - medians["listing"]
    print(f"slower, listing apart           {slower:+.2f} s (must be at most +1.5 s)")


def _know(ingestion: object, folder: Path) -> None:
    """Writes 10,000 files and puts them into the ledger as loaded, as a run would have."""
    from ingestions.engine.ledger import State
    from ingestions.models import Ingestion, LedgerEntry

    assert isinstance(ingestion, Ingestion)
    _write(folder, 1, KNOWN)
    rows = [
        LedgerEntry(
            ingestion=ingestion,
            destination_key=ingestion.destination_key,
            address=file.address,
            version=file.version,
            size_bytes=file.size_bytes,
            modified_at=file.modified_at,
            state=State.LOADED,
        )
        for file in _source(ingestion).list()
        if not file.address.endswith("/f000000.csv")
    ]
    LedgerEntry.objects.bulk_create(rows, batch_size=5000)


def _source(ingestion: Ingestion) -> Source:
    from django.conf import settings

    from ingestions.engine import sources

    return sources.open_source(
        ingestion.configuration().source,
        None,
        local_roots=settings.LOCAL_ROOTS,
        allowed_networks=[],
        alias_key="bench",
    )


def _listing(ingestion: Ingestion) -> float:
    started = time.perf_counter()
    assert sum(1 for _ in _source(ingestion).list()) > KNOWN
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
