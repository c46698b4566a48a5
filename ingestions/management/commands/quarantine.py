"""``manage.py quarantine``: files with malformed rows that are kept out of their tables."""

from __future__ import annotations

from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from ingestions.management.cli import CliCommand, acting_user, find
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services import present
from ingestions.services.quarantine import bad_files


class Command(CliCommand):
    help = "Shows which files have malformed rows that are kept out of their tables, and where these rows are."

    def add_verbs(self, verbs: AddVerb) -> None:
        listed = self.verb(verbs, "list", "files with quarantined or dropped rows, the last ones first")
        listed.add_argument("ingestion", nargs="?", help="id or name (default: all)")
        listed.add_argument("--run", help="only files that this run has loaded (its id)")
        listed.add_argument("--file", type=int, help="only this file (its id)")
        listed.add_argument("--limit", type=int, default=1000)

    def do_list(self, **options: Any) -> Exit:
        user = acting_user(options["user"])
        rows = bad_files(LedgerEntry.objects.visible_to(user)).select_related("ingestion")
        if options["ingestion"]:
            rows = rows.filter(ingestion=find(Ingestion.objects.visible_to(user), options["ingestion"], "ingestion"))
        if options["run"]:
            rows = rows.filter(run=find(Run.objects.visible_to(user), options["run"], "run"))
        if options["file"] is not None:
            rows = rows.filter(pk=options["file"])
        shown = [present.quarantine(row) for row in rows[: max(1, options["limit"])]]
        if options["json"]:
            self.out(shown)
            return Exit.OK
        self.table(
            ("file", "read", "loaded", "quarantined", "dropped", "address", "table"),
            (
                (
                    each["file_id"],
                    each["read_rows"],
                    each["rows"],
                    each["quarantined_rows"],
                    each["dropped_rows"],
                    each["path"],
                    each["table"] or "",
                )
                for each in shown
            ),
            "No file has malformed rows that are kept out of its table.",
        )
        return Exit.OK
