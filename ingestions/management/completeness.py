"""``manage.py ingestion completeness``: every object in the bucket by state and reason."""

from __future__ import annotations

from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.words import plural
from ingestions.management.cli import CliCommand
from ingestions.services import present
from ingestions.services.census import census_take
from ingestions.services.discovering import outlook


class CompletenessVerb(CliCommand):
    def add_completeness(self, verbs: AddVerb) -> None:
        verb = self.verb(verbs, "completeness", "count every object in the source by what became of it")
        verb.add_argument("ingestion", help="id or name")

    def do_completeness(self, **options: Any) -> Exit:
        """Partial where something is missing or does not add up."""
        ingestion = self.ingestion(options)
        found = census_take(ingestion=ingestion, tell=self._counted)
        next_ = outlook(ingestion)
        whole = found["adds_up"] and not found["not_discovered"] and not found["gone"]
        if options["json"]:
            self.out({"ingestion_id": str(ingestion.pk), "result": found, "discovery": present.outlook(next_)})
            return Exit.OK if whole else Exit.PARTIAL
        rows = [(group["words"], group["state"].lower(), group["objects"]) for group in found["groups"]]
        others = (
            ("not discovered yet", "not_discovered"),
            ("not meant by the pattern", "not_matched"),
            ("names that cannot be used", "unusable_names"),
            ("folders and links, passed over", "left_out"),
        )
        rows += [(words, "", found[key]) for words, key in others if found[key]]
        self.table(("objects that are", "state", "count"), [*rows, ("in the source, in all", "", found["objects"])], "")
        for state, files in sorted(found["gone"].items()):
            self.stdout.write(f"Gone from the source, {state.lower()} in the ledger: {plural(files, 'file')}")
        if found["elsewhere"]:
            self.stdout.write(f"In the ledger, from another path: {plural(found['elsewhere'], 'file')}")
        for example in found["not_discovered_examples"]:
            self.stdout.write(f"Not discovered yet: {example}")
        self.stdout.write(found["verdict"])
        self.stdout.write(f"The next listing is {next_.next.mode}: {next_.next.reason}.")
        if next_.missed:
            self.stdout.write(f"{plural(next_.missed, 'file')} found by audits that incremental listings had missed.")
        return Exit.OK if whole else Exit.PARTIAL

    def _counted(self, listed: int) -> None:
        line = f"{listed:,} objects counted so far"
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{line}", ending="")
        else:
            self.stderr.write(line)
