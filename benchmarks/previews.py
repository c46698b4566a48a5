"""How long does a person wait for a preview of ten files, on a cluster that is warm?

The preview is that of ``services.looking``: types found out, every row read as it would be loaded. Beside it stands
what one would type by hand: read the ten files with Spark's own inference and show twenty rows. Median of ``--rounds``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.known_files import prepare

FILES = 10
ROWS = 1000
MUST, AIM = 5.0, 2.0


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
            for kind in ("csv", "json"):
                _write(folder / "files" / kind, kind)
                _measure(folder / "files" / kind, kind, server.url, rounds)
        finally:
            server.stop()


def _write(folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    for file in range(FILES):
        numbers = range(file * ROWS, (file + 1) * ROWS)
        if kind == "csv":
            lines = [
                "id,customer,amount,ordered_at",
                *(f"{n},name {n % 97},{n / 7:.2f},2025-03-01T10:00:00Z" for n in numbers),
            ]
        else:
            lines = [f'{{"id": {n}, "customer": {{"name": "name {n % 97}"}}, "amount": {n / 7:.2f}}}' for n in numbers]
        (folder / f"{file}.{kind}").write_text("\n".join(lines) + "\n")


def _measure(folder: Path, kind: str, url: str, rounds: int) -> None:
    from django.contrib.auth import get_user_model
    from pyspark.sql.connect.session import SparkSession

    from clusters.models import Cluster
    from ingestions.services.looking import preview, subject_posted

    owner, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True)
    cluster, _ = Cluster.objects.get_or_create(
        name="c", url=url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.023, default_catalog="local"
    )
    body = {
        "name": kind,
        "cluster_id": str(cluster.pk),
        "source": {"type": "local", "path": str(folder)},
        "format": {"type": kind},
        "destination": {"catalog": "local", "database": "bench", "table": f"previewed_{kind}"},
    }
    subject = subject_posted(body=body, user=owner)
    spark: Any = SparkSession.builder.remote(url).create()
    measured: dict[str, list[float]] = {"preview": [], "by hand": []}
    for turn in range(rounds + 1):
        started = time.perf_counter()
        found = preview(subject=subject)
        looked = time.perf_counter()
        assert (found["file_count"], found["estimated_records"]) == (FILES, FILES * ROWS)
        reader = spark.read.option("header", "true").option("inferSchema", "true").format(kind)
        assert len(reader.load(str(folder)).limit(20).collect()) == 20
        if turn:  # the first warms the cluster
            measured["preview"].append(looked - started)
            measured["by hand"].append(time.perf_counter() - looked)
    medians = {name: statistics.median(values) for name, values in measured.items()}
    ratio = medians["preview"] / medians["by hand"]
    print(f"preview of ten {kind} files {medians['preview']:.2f} s (must {MUST:g}, aim {AIM:g}); "
          f"by hand {medians['by hand']:.2f} s, {ratio:.1f} ×")  # fmt: skip


if __name__ == "__main__":
    main()
