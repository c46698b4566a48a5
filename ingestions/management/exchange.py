"""``manage.py ingestion export | import``."""

from __future__ import annotations

import os
from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from ingestions.management.cli import CliCommand, acting_user, find
from ingestions.management.feed_file import read_bytes
from ingestions.models import Ingestion
from ingestions.services import present
from ingestions.services.exchange import ingestions_export, ingestions_import


class ExchangeVerbs(CliCommand):
    def add_exchange(self, verbs: AddVerb) -> None:
        export = self.verb(verbs, "export", "print ingestions as YAML, without secrets")
        export.add_argument("ingestions", nargs="*", metavar="ingestion", help="id or name")
        export.add_argument("--all", action="store_true", help="every ingestion, oldest first")
        importing = self.verb(verbs, "import", "make ingestions from a YAML file of one or several documents")
        importing.add_argument("-f", "--file", required=True, help="the YAML file, - for standard input")
        importing.add_argument(
            "--update", action="store_true", help="change those that are there by their names; the file is their whole"
        )

    def do_export(self, **options: Any) -> Exit:
        user = acting_user(options["user"])
        rows = Ingestion.objects.visible_to(user).select_related("cluster", "credential")
        if options["all"] == bool(options["ingestions"]):
            raise ConfigError("what_to_export", "It is not clear what to export.", "Give names or ids, or --all.")
        if options["all"]:
            found = list(rows.order_by("created_at", "pk"))
        else:
            found = [find(rows, wanted, "ingestion") for wanted in options["ingestions"]]
        text = ingestions_export(rows=found, user=user)
        if options["json"]:
            self.out({"yaml": text})
        else:
            self.stdout.write(text, ending="")
        return Exit.OK

    def do_import(self, **options: Any) -> Exit:
        data, name = read_bytes(options["file"])
        done = ingestions_import(
            data=data,
            name=name,
            owner=acting_user(options["user"]),
            update=options["update"],
            environment=os.environ,
        )
        if options["json"]:
            self.out(present.imported(done))
            return Exit.OK
        for row in done:
            self.stdout.write(f"{row.action.capitalize()} {row.ingestion.name} ({row.ingestion.pk}).")
            for effect in row.effects:
                self.stdout.write(f"  {effect}")
            for warning in row.warnings:
                self.stderr.write(f"Note: {row.ingestion.name}: {warning}")
        return Exit.OK
