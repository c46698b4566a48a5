"""``manage.py ingestion schema list | changes | approve | reject``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoloader.lib.commands import AddVerb, Exit, clean
from autoloader.lib.errors import ConfigError
from autoloader.lib.words import plural
from ingestions.management.cli import CliCommand, acting_user
from ingestions.models import Ingestion
from ingestions.services import present_schema
from ingestions.services.schema_review import (
    Decided,
    change_approve,
    change_numbered,
    change_reject,
    changes_of_table,
    versions_of_table,
)

_DECIDE: dict[str, Callable[..., Decided]] = {"approve": change_approve, "reject": change_reject}


class SchemaVerbs(CliCommand):
    def add_schema(self, verbs: AddVerb) -> None:
        verb = self.verb(verbs, "schema", "versions of the table's columns, and changes that a person decides about")
        verb.add_argument("step", choices=("list", "changes", *_DECIDE), help="what to show or to do")
        verb.add_argument("ingestion", help="id or name")
        verb.add_argument("number", nargs="?", type=int, help="of the change to approve or reject")

    def do_schema(self, **options: Any) -> Exit:
        row, step = self.ingestion(options), options["step"]
        if step == "list":
            return self._versions(row)
        if step == "changes":
            return self._changes(row)
        return self._decide(row, step, options)

    def _versions(self, row: Ingestion) -> Exit:
        found = list(versions_of_table(row))
        if self.as_json:
            self.out([present_schema.version(each) for each in found])
            return Exit.OK
        if not found:
            self.stdout.write("The table has not been made yet.")
        for each in found:
            who = f" by {each.actor.get_username()}" if each.actor else ""
            self.stdout.write(f"v{each.number}  {each.created_at:%Y-%m-%d %H:%M:%S}  {clean(each.note)}{clean(who)}")
            self._lines(each.ddl, each.files)
        return Exit.OK

    def _changes(self, row: Ingestion) -> Exit:
        found = list(present_schema.changes(changes_of_table(row)))
        if self.as_json:
            self.out([present_schema.change(each) for each in found])
            return Exit.OK
        if not found:
            self.stdout.write("No change has asked for a decision.")
        for each in found:
            shown = present_schema.change(each)
            self.stdout.write(f"#{each.number}  {each.status}  {plural(shown['files_count'], 'file')}")
            self._lines(each.ddl, shown["files"][:20])
        return Exit.OK

    def _lines(self, ddl: list[str], files: list[str]) -> None:
        for statement in ddl:
            self.stdout.write(f"    {clean(statement)}")
        for address in files:
            self.stdout.write(f"    from {clean(address)}")

    def _decide(self, row: Ingestion, step: str, options: dict[str, Any]) -> Exit:
        if options["number"] is None:
            raise ConfigError("no_number", "It is not said which change.", f"manage.py ingestion schema {step} NAME 1")
        change = change_numbered(ingestion=row, number=options["number"])
        decided = _DECIDE[step](change=change, user=acting_user(options["user"]))
        if self.as_json:
            self.out(present_schema.decided(decided))
        else:
            self.stdout.write(f"Schema change #{change.number} is {decided.change.status}. {decided.effect}")
        return Exit.OK
