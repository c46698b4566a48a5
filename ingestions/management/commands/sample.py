"""``manage.py sample``: loads the bundled sample through the queue and tells what was loaded."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from autoloader.lib.errors import AutoloaderError
from clusters.models import Cluster
from ingestions.models import Batch, Ingestion, Run
from ingestions.sample import write_sample
from ingestions.services import table
from ingestions.services.ingestions import ingestion_create
from ingestions.services.runs import RunActive, run_start

NAME = "Sample shop orders"
COLUMNS_SHOWN = ("order_id", "ordered_at", "customer", "product", "quantity", "unit_price", "currency")
CELL_CHARACTERS = 28


class Command(BaseCommand):
    help = "Writes the bundled sample files, loads them into a table, and shows what came of it. Repeatable."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the run (default 600)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            files = write_sample(settings.DATA_DIR / "files" / "sample-shop" / "orders")
            ingestion = self._ingestion()
            self.stdout.write(f"Loading the bundled sample: {len(files)} files of a shop's orders.")
            run = self._follow(self._run(ingestion), options["timeout"])
            self._tell(ingestion, run)
        except AutoloaderError as error:
            raise CommandError(str(error)) from None
        (settings.DATA_DIR / "sample.json").write_text(json.dumps({"ingestion_id": str(ingestion.pk)}))

    def _ingestion(self) -> Ingestion:
        owner = get_user_model().objects.filter(is_superuser=True).order_by("pk").first()
        if owner is None:
            raise CommandError("There is no administrator yet. Run `manage.py up`, or `manage.py createsuperuser`.")
        existing = Ingestion.objects.filter(owner=owner, name=NAME).order_by("created_at").first()
        if existing is not None:
            return existing
        cluster = Cluster.objects.filter(is_embedded=True).first()
        if cluster is None:
            raise CommandError("There is no embedded cluster yet. Run `manage.py up`.")
        created, _ = ingestion_create(owner=owner, config=_config(cluster))
        return created

    def _run(self, ingestion: Ingestion) -> Run:
        try:
            return run_start(ingestion=ingestion, trigger=Run.Trigger.MANUAL, user=ingestion.owner)
        except RunActive as active:
            return Run.objects.get(pk=active.run_id)

    def _follow(self, run: Run, timeout: float) -> Run:
        terminal, limit = sys.stdout.isatty(), time.monotonic() + timeout
        while run.is_active:
            if time.monotonic() > limit:
                raise CommandError(f"The run {run.pk} has not ended within {timeout:.0f} s; it goes on by itself.")
            time.sleep(0.25)
            run.refresh_from_db()
            if terminal:
                done = f"{run.files_loaded} of {run.files_total} files, {run.rows_done} rows"
                self.stdout.write(f"\r\033[K  {run.phase or run.status}: {done}", ending="")
                self.stdout.flush()
        if terminal:
            self.stdout.write("\r\033[K", ending="")
        if run.status not in (Run.Status.SUCCESS, Run.Status.PARTIAL):
            raise CommandError(f"The run ended {run.status}: {run.error_message} {run.error_hint}".strip())
        return run

    def _tell(self, ingestion: Ingestion, run: Run) -> None:
        ingestion.refresh_from_db()
        batch = Batch.objects.filter(run__ingestion=ingestion).exclude(snapshot_id=None).order_by("-pk").first()
        out = [
            "",
            f"  {ingestion.files_loaded} files, {ingestion.rows_loaded} rows in {ingestion.destination_key}"
            + (f", snapshot {batch.snapshot_id}" if batch else ""),
            "",
            *_as_table(table.table_sample(ingestion=ingestion, limit=5)),
            "",
            f"  In the browser:  http://127.0.0.1:{settings.PORT}/ingestions/{ingestion.pk}/",
            f"  As a command:    {sys.executable} manage.py run show {run.pk}",
            f"  In Spark SQL:    the table {ingestion.destination_key} at {ingestion.cluster.url}",
            "",
        ]
        self.stdout.write("\n".join(out))


def _config(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": NAME,
        "cluster_id": str(cluster.pk),
        "source": {
            "type": "local",
            "path": str(settings.DATA_DIR / "files" / "sample-shop" / "orders"),
            "file_pattern": "*.csv*",
        },
        "format": {"type": "csv"},
        "destination": {"catalog": "local", "database": "sample_shop", "table": "orders"},
    }


def _as_table(rows: list[dict[str, object]]) -> list[str]:
    """The rows as aligned text, a few columns of them, long values cut."""
    columns = [name for name in COLUMNS_SHOWN if rows and name in rows[0]] or list(rows[0] if rows else ())[:6]
    cells = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(_width(line[index]) for line in cells) for index in range(len(columns))]
    padded = (zip(line, widths, strict=True) for line in cells)
    return ["  " + "  ".join(text + " " * (width - _width(text)) for text, width in line).rstrip() for line in padded]


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"
