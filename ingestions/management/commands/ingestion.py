"""``manage.py ingestion``: create, list, show, run, refresh, delete."""

from __future__ import annotations

import time
from typing import Any

from django.utils import timezone

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from ingestions.engine.ledger import State
from ingestions.management import refreshing
from ingestions.management.cli import CliCommand, acting_user, find
from ingestions.management.feed_file import read_feed
from ingestions.models import Ingestion, Run
from ingestions.services import heartbeat, present
from ingestions.services.ingestions import ingestion_create, ingestion_delete
from ingestions.services.ledger import ledger_totals
from ingestions.services.runs import run_start
from ingestions.services.status import RUN, ingestion_badge

#: a queued run that nobody takes for this long makes the command look for a worker.
LONELY_SECONDS = 5


class Command(CliCommand):
    help = "Sets up ingestions and runs them."

    def add_verbs(self, verbs: AddVerb) -> None:
        create = self.verb(verbs, "create", "make a draft from a YAML file")
        create.add_argument("-f", "--file", required=True, help="the feed's YAML file, - for standard input")
        self.verb(verbs, "list", "all ingestions, newest first")
        for name, help_ in (("show", "one ingestion"), ("delete", "forget an ingestion; its table stays")):
            verb = self.verb(verbs, name, help_)
            verb.add_argument("ingestion", help="id or name")
            if name == "delete":
                refreshing.add_drop_table(verb)
        refreshing.add_refresh(self.verb(verbs, "refresh", "drop the table and load it again, or new files only"))
        run = self.verb(verbs, "run", "put a run into the queue")
        run.add_argument("ingestion", help="id or name")
        run.add_argument("--wait", action="store_true", help="wait for the end and show the progress")
        run.add_argument("--here", action="store_true", help="do the work in this process; implies --wait")
        run.add_argument("--timeout", type=float, default=3600, help="seconds to wait (default 3600)")

    def _found(self, options: dict[str, Any]) -> Ingestion:
        return find(Ingestion.objects.visible_to(acting_user(options["user"])), options["ingestion"], "ingestion")

    def do_create(self, **options: Any) -> Exit:
        owner = acting_user(options["user"])
        feed = read_feed(options["file"])
        try:
            ingestion, warnings = ingestion_create(owner=owner, config=feed.document)
        except ConfigError as error:
            raise feed.located(error) from None
        if options["json"]:
            self.out(present.ingestion(ingestion, warnings=warnings))
            return Exit.OK
        for warning in warnings:
            self.stderr.write(f"Note: {warning}")
        self.stdout.write(f"Created {ingestion.name} ({ingestion.pk}) as a draft.")
        self.stdout.write(f"Run it: manage.py ingestion run {ingestion.pk} --wait")
        return Exit.OK

    def do_list(self, **options: Any) -> Exit:
        rows = Ingestion.objects.visible_to(acting_user(options["user"])).select_related(
            "cluster", "owner", "credential"
        )
        if options["json"]:
            self.out([present.ingestion(row) for row in rows])
            return Exit.OK
        self.table(
            ("id", "name", "status", "source", "table", "files", "rows"),
            (
                (
                    row.pk,
                    row.name,
                    ingestion_badge(row, row.runs.first()).label,
                    row.config["source"]["path"],
                    row.destination_key,
                    row.files_loaded,
                    row.rows_loaded,
                )
                for row in rows
            ),
            "No ingestion yet. Make one: manage.py ingestion create -f feed.yaml",
        )
        return Exit.OK

    def do_show(self, **options: Any) -> Exit:
        row = self._found(options)
        if options["json"]:
            self.out(present.ingestion(row))
            return Exit.OK
        self.stdout.write(f"{row.name} ({row.pk}): {ingestion_badge(row, row.runs.first()).label}")
        self.stdout.write(f"  from   {row.config['source']['path']}\n  into   {row.destination_key}")
        self.stdout.write(f"  on     {row.cluster.name} ({row.cluster.url})")
        for state, totals in ledger_totals(ingestion=row).items():
            if totals["files"]:
                rows = f", {totals['rows']} rows" if state == State.LOADED else ""
                self.stdout.write(f"  {state.lower():<11} {totals['files']} files, {totals['bytes']} bytes{rows}")
        return Exit.OK

    def do_delete(self, **options: Any) -> Exit:
        row = self._found(options)
        if options["drop_table"]:
            return refreshing.delete_with_table(self, row, options)
        name = row.name
        ingestion_delete(ingestion=row)
        if options["json"]:
            self.out({"deleted": True})
        else:
            self.stdout.write(f"Deleted {name}. Its table {row.destination_key} and its files stay as they are.")
        return Exit.OK

    def do_refresh(self, **options: Any) -> Exit:
        return refreshing.refresh(self, self._found(options), options)

    def do_run(self, **options: Any) -> Exit:
        ingestion = self._found(options)
        run = run_start(ingestion=ingestion, user=acting_user(options["user"]))
        if options["wait"] or options["here"]:
            return self._wait(run, options)
        if options["json"]:
            self.out({"run_id": str(run.pk), "ingestion_id": str(ingestion.pk), "status": "accepted"})
        else:
            self.stdout.write(f"Run {run.pk} is in the queue. See: manage.py run show {run.pk}")
        return Exit.OK

    def _wait(self, run: Run, options: dict[str, Any]) -> Exit:
        deadline = time.monotonic() + options["timeout"]
        warned = False
        told = ""
        while run.is_active:
            if time.monotonic() > deadline:
                self.stderr.write(f"The run goes on. See: manage.py run show {run.pk}")
                return Exit.TIMEOUT
            if options["here"]:
                from ingestions.services.execution import run_work

                run_work(run_id=str(run.pk))
            else:
                warned = warned or self._lonely(run)
            time.sleep(0.3)
            run.refresh_from_db()
            told = self._tell(run, told, options)
        return self._ended(run, options)

    def _lonely(self, run: Run) -> bool:
        """Says once that nobody is there to do the work."""
        run.refresh_from_db()
        waited = timezone.now() - run.queued_at
        if run.status != Run.Status.QUEUED or waited.total_seconds() < LONELY_SECONDS or heartbeat.alive(kind="worker"):
            return False
        self.stderr.write("No worker is running. Start one (manage.py run_worker), or use --here.")
        return True

    def _tell(self, run: Run, told: str, options: dict[str, Any]) -> str:
        if options["json"]:
            return told
        line = (
            f"{run.phase or run.status}: {run.files_done} of {run.files_total} files, "
            f"{run.bytes_done} bytes, {run.rows_done} rows"
        )
        if line == told:
            return told
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{line}", ending="")
        else:
            self.stderr.write(line)
        return line

    def _ended(self, run: Run, options: dict[str, Any]) -> Exit:
        if options["json"]:
            self.out(present.run(run))
        else:
            if self.stderr.isatty():
                self.stderr.write("")
            self.stdout.write(
                f"{RUN[run.status].label}: {run.files_loaded} files, {run.rows_done} rows in "
                f"{present.duration_seconds(run):g} s"
                + (f"; {run.files_failed} files failed" if run.files_failed else "")
                + (f"; {run.files_skipped} skipped" if run.files_skipped else "")
            )
            if run.hint:
                self.stdout.write(run.hint)
            for error in run.errors.all()[:20]:
                self.stderr.write(f"{error.file or 'run'}: {error.message} {error.hint}")
        codes = {Run.Status.SUCCESS: Exit.OK, Run.Status.PARTIAL: Exit.PARTIAL}
        return codes.get(Run.Status(run.status), Exit.FAILED)
