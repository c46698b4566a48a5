"""``manage.py ingestion edit | activate | pause | resume | clone``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import CommandParser

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from ingestions.engine.config import MASK, SECRET_FIELDS
from ingestions.management.cli import CliCommand, acting_user
from ingestions.management.feed_file import read_feed
from ingestions.models import Ingestion
from ingestions.services import present
from ingestions.services.cloning import ingestion_clone
from ingestions.services.editing import ingestion_update
from ingestions.services.feed_text import FeedDocument, with_settings
from ingestions.services.lifecycle import ingestion_activate, ingestion_pause, ingestion_resume
from ingestions.services.status import ingestion_badge

STEPS: tuple[tuple[str, str], ...] = (
    ("activate", "check the configuration and let the schedule start runs"),
    ("pause", "let nothing start by itself; the run in hand goes on"),
    ("resume", "make a paused one active again"),
)


class LifecycleVerbs(CliCommand):
    def add_lifecycle(self, verbs: AddVerb) -> None:
        edit = self.verb(verbs, "edit", "change parts of the configuration and say what that means")
        edit.add_argument("ingestion", help="id or name")
        _changes(edit)
        for name, text in STEPS:
            self.verb(verbs, name, text).add_argument("ingestion", help="id or name")
        clone = self.verb(verbs, "clone", "make a draft like this one, into a table of its own")
        clone.add_argument("ingestion", help="id or name")
        clone.add_argument("--name", help="what to call it (default: “X copy”)")
        _changes(clone)

    def do_edit(self, **options: Any) -> Exit:
        row = self.ingestion(options)
        changes = _read(options)
        if not changes.body:
            raise ConfigError("no_change", "It is not said what to change.", "Give -f FILE or --set FIELD=VALUE.")
        try:
            edited = ingestion_update(ingestion=row, changes=changes.body, user=acting_user(options["user"]))
        except ConfigError as error:
            raise (changes.located(error) if options["file"] else error) from None
        if options["json"]:
            self.out(present.edited(edited))
            return Exit.OK
        self._notes(edited.warnings)
        self.stdout.write(f"Changed {edited.ingestion.name}." if edited.effects else "Nothing changed.")
        for effect in edited.effects:
            self.stdout.write(f"  {effect}")
        return Exit.OK

    def do_activate(self, **options: Any) -> Exit:
        return self._step(ingestion_activate, options)

    def do_pause(self, **options: Any) -> Exit:
        return self._step(ingestion_pause, options)

    def do_resume(self, **options: Any) -> Exit:
        return self._step(ingestion_resume, options)

    def _step(self, verb: Callable[..., Ingestion], options: dict[str, Any]) -> Exit:
        row = verb(ingestion=self.ingestion(options), user=acting_user(options["user"]))
        if options["json"]:
            self.out(present.ingestion(row))
        else:
            self.stdout.write(f"{row.name} is {row.status}; last run: {ingestion_badge(row, row.runs.first()).label}.")
        return Exit.OK

    def do_clone(self, **options: Any) -> Exit:
        row = self.ingestion(options)
        changes = _read(options)
        if options["name"] is not None:
            changes.body["name"] = options["name"]
        try:
            made, warnings = ingestion_clone(ingestion=row, owner=acting_user(options["user"]), changes=changes.body)
        except ConfigError as error:
            raise (changes.located(error) if options["file"] else error) from None
        if options["json"]:
            self.out(present.ingestion(made, warnings=warnings))
            return Exit.OK
        self._notes(warnings)
        self.stdout.write(f"Made {made.name} ({made.pk}) as a draft; it loads into {made.destination_key}.")
        return Exit.OK

    def _notes(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self.stderr.write(f"Note: {warning}")


def _changes(parser: CommandParser) -> None:
    parser.add_argument("-f", "--file", help="YAML with the parts to change, - for standard input")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one field, its value as YAML: limits.files_per_batch=50, source.max_bytes=null; may be given again",
    )


def _read(options: dict[str, Any]) -> FeedDocument:
    feed = read_feed(options["file"]) if options["file"] else FeedDocument("the command line", {}, {(): (1, 1)})
    for text in options["set"]:
        field, _, value = text.partition("=")
        if field.rpartition(".")[2] in SECRET_FIELDS and value not in ("null", MASK) and "${" not in value:
            raise ConfigError(
                "secret_in_arguments",
                "A secret on the command line can be read by everybody on this machine.",
                f"Put it into a variable and write {field}='${{NAME}}', or use -f.",
                field=field,
            )
    return with_settings(feed, options["set"], os.environ)
