"""``manage.py ingestion``: create, list, show, run, refresh, delete; further verbs are mixed in."""

from __future__ import annotations

from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from ingestions.engine.ledger import State
from ingestions.management import refreshing
from ingestions.management.backfilling import BackfillVerb
from ingestions.management.cli import acting_user
from ingestions.management.completeness import CompletenessVerb
from ingestions.management.exchange import ExchangeVerbs
from ingestions.management.feed_file import read_feed
from ingestions.management.lifecycle import LifecycleVerbs
from ingestions.management.looking import LookingVerbs
from ingestions.management.schema import SchemaVerbs
from ingestions.models import Ingestion
from ingestions.services import present, schedules
from ingestions.services.ingestions import ingestion_create, ingestion_delete
from ingestions.services.ledger import ledger_totals
from ingestions.services.runs import run_start
from ingestions.services.status import ingestion_badge


class Command(LifecycleVerbs, ExchangeVerbs, LookingVerbs, CompletenessVerb, SchemaVerbs, BackfillVerb):
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
        self.waits(run)
        self.add_backfill(verbs)
        self.add_lifecycle(verbs)
        self.add_exchange(verbs)
        self.add_looking(verbs)
        self.add_completeness(verbs)
        self.add_schema(verbs)

    def do_create(self, **options: Any) -> Exit:
        owner = acting_user(options["user"])
        feed = read_feed(options["file"])
        try:
            ingestion, warnings = ingestion_create(owner=owner, config=feed.body)
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
            ("id", "name", "status", "source", "table", "files", "rows", "next run"),
            (
                (
                    row.pk,
                    row.name,
                    ingestion_badge(row, row.runs.first()).label,
                    row.config["source"]["path"],
                    row.destination_key,
                    row.files_loaded,
                    row.rows_loaded,
                    f"{row.next_run_at:%Y-%m-%d %H:%M} UTC" if row.next_run_at else "-",
                )
                for row in rows
            ),
            "No ingestion yet. Make one: manage.py ingestion create -f feed.yaml",
        )
        return Exit.OK

    def do_show(self, **options: Any) -> Exit:
        row = self.ingestion(options)
        if options["json"]:
            self.out(present.ingestion(row))
            return Exit.OK
        self.stdout.write(f"{row.name} ({row.pk}): {ingestion_badge(row, row.runs.first()).label}")
        self.stdout.write(f"  from   {row.config['source']['path']}\n  into   {row.destination_key}")
        self.stdout.write(f"  when   {schedules.told(row)}")
        for at in schedules.next_times_told(row):
            self.stdout.write(f"         {at}")
        if row.schedule_note:
            self.stdout.write(f"         {row.schedule_note}")
        self.stdout.write(f"  on     {row.cluster.name} ({row.cluster.url})")
        for state, totals in ledger_totals(ingestion=row).items():
            if totals["files"]:
                rows = f", {totals['rows']} rows" if state == State.LOADED else ""
                self.stdout.write(f"  {state.lower():<11} {totals['files']} files, {totals['bytes']} bytes{rows}")
        return Exit.OK

    def do_delete(self, **options: Any) -> Exit:
        row = self.ingestion(options)
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
        return refreshing.refresh(self, self.ingestion(options), options)

    def do_run(self, **options: Any) -> Exit:
        ingestion = self.ingestion(options)
        run = run_start(ingestion=ingestion, user=acting_user(options["user"]))
        return self.started(run, options)
