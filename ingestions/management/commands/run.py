"""``manage.py run``: list, show, cancel, retry."""

from __future__ import annotations

from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.words import plural
from ingestions.management.cli import acting_user, find
from ingestions.management.waiting import WaitingCommand
from ingestions.models import Ingestion, Run
from ingestions.services import present
from ingestions.services.runs import run_cancel, run_retry
from ingestions.services.status import RUN


class Command(WaitingCommand):
    help = "Shows runs, stops and retries them."

    def add_verbs(self, verbs: AddVerb) -> None:
        listing = self.verb(verbs, "list", "runs, newest first")
        listing.add_argument("--ingestion", help="only of this one (id or name)")
        listing.add_argument("--status", choices=[str(status) for status in Run.Status])
        listing.add_argument("--limit", type=int, default=50)
        self.verb(verbs, "show", "one run; the exit code tells how it ended").add_argument("run", help="id")
        self.verb(verbs, "cancel", "ask a run to stop; whole batches stay").add_argument("run", help="id")
        retry = self.verb(verbs, "retry", "start a run that looks at the failed files of another one anew")
        retry.add_argument("run", help="id")
        self.waits(retry)

    def _found(self, options: dict[str, Any]) -> Run:
        rows = Run.objects.visible_to(acting_user(options["user"])).select_related("ingestion")
        return find(rows, options["run"], "run")

    def do_list(self, **options: Any) -> Exit:
        user = acting_user(options["user"])
        rows = Run.objects.visible_to(user).select_related("ingestion")
        if options["ingestion"]:
            rows = rows.filter(ingestion=find(Ingestion.objects.visible_to(user), options["ingestion"], "ingestion"))
        if options["status"]:
            rows = rows.filter(status=options["status"])
        rows = rows[: max(1, options["limit"])]
        if options["json"]:
            self.out([present.run(row) for row in rows])
            return Exit.OK
        self.table(
            ("id", "ingestion", "status", "queued at", "seconds", "files", "rows", "failed"),
            (
                (
                    row.pk,
                    row.ingestion.name,
                    RUN[row.status].label,
                    f"{row.queued_at:%Y-%m-%d %H:%M:%S}",
                    present.duration_seconds(row),
                    row.files_loaded,
                    row.rows_done,
                    row.files_failed,
                )
                for row in rows
            ),
            "No run yet. Start one: manage.py ingestion run NAME",
        )
        return Exit.OK

    def do_show(self, **options: Any) -> Exit:
        row = self._found(options)
        if options["json"]:
            self.out(present.run(row))
        else:
            self._describe(row)
        codes = {Run.Status.FAILED: Exit.FAILED, Run.Status.CANCELLED: Exit.FAILED, Run.Status.PARTIAL: Exit.PARTIAL}
        return codes.get(Run.Status(row.status), Exit.OK)

    def _describe(self, row: Run) -> None:
        self.stdout.write(f"{row.ingestion.name}, run {row.pk}: {RUN[row.status].label} {row.phase}".rstrip())
        self.stdout.write(
            f"  {row.files_loaded} files loaded, {row.files_failed} failed, {row.files_skipped} skipped; "
            f"{row.rows_done} rows, {row.rows_rescued} of them with rescued values; "
            f"{present.duration_seconds(row):g} s"
        )
        if row.listing_mode:
            missed = f"; {plural(row.files_missed, 'file')} found that had been missed" if row.files_missed else ""
            self.stdout.write(
                f"  {row.listing_mode} listing of {row.files_listed} objects{missed}: {row.listing_reason}"
            )
        if row.error_message:
            self.stdout.write(f"  {row.error_message}\n  {row.error_hint}")
        if row.retry_at:
            self.stdout.write(f"  It is tried again by itself at {row.retry_at:%Y-%m-%d %H:%M:%S} UTC.")
        if row.hint:
            self.stdout.write(f"  {row.hint}")
        for batch in row.batches.all():
            self.stdout.write(
                f"  batch {batch.number}: {batch.files} files, {batch.rows} rows, snapshot {batch.snapshot_id}"
            )
        for error in row.errors.exclude(file="")[:50]:
            self.stdout.write(f"  {error.file}: {error.message} {error.hint}")

    def do_cancel(self, **options: Any) -> Exit:
        row = run_cancel(run=self._found(options))
        if options["json"]:
            self.out(present.run(row))
        else:
            self.stdout.write("Cancelled." if not row.is_active else "The run stops after the step in hand.")
        return Exit.OK

    def do_retry(self, **options: Any) -> Exit:
        again = run_retry(run=self._found(options), user=acting_user(options["user"]))
        return self.started(again, options)
