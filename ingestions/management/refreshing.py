"""The verbs of ``manage.py ingestion`` that drop a table."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from autoloader.lib.commands import Exit, clean
from autoloader.lib.errors import ConfigError
from ingestions.management.cli import CliCommand, acting_user
from ingestions.models import Ingestion
from ingestions.services.refresh import ingestion_delete_with_table, ingestion_refresh


def add_refresh(verb: CommandParser) -> None:
    verb.add_argument("ingestion", help="id or name")
    mode = verb.add_mutually_exclusive_group(required=True)
    mode.add_argument("--full", dest="mode", action="store_const", const="full", help="load every file again")
    mode.add_argument(
        "--new-only", dest="mode", action="store_const", const="new_only", help="only files not seen before"
    )
    verb.add_argument("--dry-run", action="store_true", help="say what it would do and mean; nothing is changed")
    verb.add_argument("--yes", action="store_true", help="do it: the table is dropped")
    verb.add_argument("--no-run", action="store_true", help="do not start the run that loads the table again")
    verb.add_argument("--accept-loss", action="store_true", help="though files once loaded are gone from the source")


def add_drop_table(verb: CommandParser) -> None:
    verb.add_argument("--drop-table", action="store_true", help="drop the table as well; needs --yes")
    verb.add_argument("--yes", action="store_true", help="do it: the table is dropped")


def refresh(command: CliCommand, row: Ingestion, options: dict[str, Any]) -> Exit:
    if not options["dry_run"]:
        _confirmed(row, options)
    outcome = ingestion_refresh(
        ingestion=row,
        mode=options["mode"],
        user=acting_user(options["user"]),
        auto_run=not options["no_run"],
        dry_run=options["dry_run"],
        accept_loss=options["accept_loss"],
    ).to_json()
    if options["json"]:
        command.out(outcome)
    else:
        _tell(command, outcome)
    return Exit.FAILED if outcome["status"] == "partial_failure" else Exit.OK


def delete_with_table(command: CliCommand, row: Ingestion, options: dict[str, Any]) -> Exit:
    _confirmed(row, options)
    name, table = row.name, row.destination_key
    ingestion_delete_with_table(ingestion=row)
    if options["json"]:
        command.out({"deleted": True, "table_dropped": True})
    else:
        command.stdout.write(f"Deleted {clean(name)} and its table {clean(table)}. Its files stay as they are.")
    return Exit.OK


def _confirmed(row: Ingestion, options: dict[str, Any]) -> None:
    if not options["yes"]:
        raise ConfigError(
            "not_confirmed",
            f"The table {row.destination_key} would be dropped.",
            "Say --yes to do it" + (", or --dry-run to see what it means." if "dry_run" in options else "."),
        )


def _tell(command: CliCommand, outcome: dict[str, Any]) -> None:
    write = command.stdout.write
    write(clean(outcome["message"]))
    for each in outcome["would_perform"]:
        write(f"  would be done: {each['operation']}")
    for each in outcome["operations"]:
        write(clean(f"  {each['operation']}: {each['status']} {each['details'] or each['error'] or ''}".rstrip()))
    impact = outcome["impact"]
    write(
        f"  files to load {impact['files_to_process']:,}, not to load {impact['files_skipped']:,}; "
        f"{impact['estimated_data_size_gb']:g} GB, about {impact['estimated_duration_minutes']:g} minutes, "
        f"cost {impact['estimated_cost_usd']:g}"
    )
    command.say(*(clean(f"Warning: {line}") for line in outcome["warnings"]))
    command.say(*(clean(f"Note: {line}") for line in outcome["notes"]))
    for step, what in outcome["next_steps"].items():
        write(clean(f"  {step.replace('_', ' ')}: {what}"))
