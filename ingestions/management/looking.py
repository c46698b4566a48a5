"""``manage.py ingestion preview | dry-run | estimate``: looking before loading."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from autoloader.lib.words import plural
from ingestions.management.cli import CliCommand, acting_user
from ingestions.management.feed_file import read_feed
from ingestions.services import looking

LONGEST_CELL = 24


class LookingVerbs(CliCommand):
    def add_looking(self, verbs: AddVerb) -> None:
        for name, text in (
            ("preview", "read the first files as they would be loaded; nothing is written"),
            ("estimate", "what it costs a month, by a model; each factor with --json"),
        ):
            _subject(self.verb(verbs, name, text))
        self.verb(verbs, "dry-run", "what the next run would do; nothing changes").add_argument(
            "ingestion", help="id or name"
        )

    def _looked_at(self, options: dict[str, Any]) -> tuple[looking.Subject, Any]:
        """The subject, and the feed's file where it is one."""
        if bool(options["file"]) == bool(options["ingestion"]):
            raise ConfigError("what_to_look_at", "It is not clear what to look at.", "Give a name or id, or -f FILE.")
        if not options["file"]:
            return looking.subject_of(self.ingestion(options)), None
        feed = read_feed(options["file"])
        try:
            return looking.subject_posted(body=feed.body, user=acting_user(options["user"])), feed
        except ConfigError as error:
            raise feed.located(error) from None

    def do_preview(self, **options: Any) -> Exit:
        subject, _ = self._looked_at(options)
        found = looking.preview(subject=subject)
        if options["json"]:
            self.out(found)
            return Exit.OK
        self.stdout.write(
            f"{plural(found['file_count'], 'file')}, {plural(found['total_bytes'], 'byte')}, "
            f"about {plural(found['estimated_records'], 'row')}; {plural(len(found['files_read']), 'file')} read"
        )
        self.table(
            ("column", "type", "new", "empty", "rescued", "examples"),
            (
                (
                    column["name"],
                    column["data_type"],
                    "yes" if column["is_new"] else "",
                    f"{column['null_fraction']:.0%}" if column["null_fraction"] is not None else "–",
                    column["rescued"] or "",
                    ", ".join(text[:LONGEST_CELL] for text in column["examples"]),
                )
                for column in found["schema"]
            ),
            "No column: there is no file to read.",
        )
        for title in ("inconsistencies", "recommendations", "ddl"):
            for line in found[title]:
                self.stdout.write(f"{title.rstrip('s') if title != 'inconsistencies' else 'inconsistency'}: {line}")
        if found["hint"]:
            self.stdout.write(found["hint"])
        return Exit.OK

    def do_estimate(self, **options: Any) -> Exit:
        subject, _ = self._looked_at(options)
        found = looking.estimate_cost(subject=subject)
        if options["json"]:
            self.out(found)
            return Exit.OK
        money = found["currency"]
        self.stdout.write(
            f"About {found['total_monthly']:.2f} {money} a month ({found['low']:.2f} to {found['high']:.2f}), "
            f"{found['basis']}: compute {found['compute_monthly']:.2f}, storage {found['storage_monthly']:.2f}, "
            f"discovery {found['discovery_monthly']:.2f}"
        )
        self.table(
            ("factor", "value", "unit", "from"),
            (
                (name.replace("_", " "), f"{factor['value']:,.6g}", factor["unit"], factor["source"])
                for name, factor in found["breakdown_details"].items()
            ),
            "",
        )
        return Exit.OK

    def do_dry_run(self, **options: Any) -> Exit:
        found = looking.dry_run(ingestion=self.ingestion(options))
        if options["json"]:
            self.out(found)
            return Exit.OK
        self.stdout.write(
            f"The next run would load {plural(found['files'], 'file')} ({plural(found['bytes'], 'byte')}, about "
            f"{plural(found['estimated_rows'], 'row')}) in {plural(found['batches'], 'batch')} into {found['table']} "
            f"({found['write_mode']}), for about {found['cost']['compute']:.4f} {found['cost']['currency']}."
        )
        for statement in found["ddl"]:
            self.stdout.write(f"{statement};")
        for problem in found["problems"]:
            self.stderr.write(f"{problem['file']}: {problem['message']} {problem['hint']}")
        if found["files_skipped"]:
            self.stdout.write(f"Skipped: {json.dumps(found['files_skipped'])}")
        if found["hint"]:
            self.stdout.write(found["hint"])
        return Exit.OK


def _subject(verb: CommandParser) -> None:
    verb.add_argument("ingestion", nargs="?", help="id or name")
    verb.add_argument("-f", "--file", help="a feed's YAML file instead, - for standard input")
