"""``manage.py ingestion backfill``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError
from ingestions.management.cli import acting_user
from ingestions.management.waiting import WaitingCommand
from ingestions.services.backfill import backfill_start


class BackfillVerb(WaitingCommand):
    def add_backfill(self, verbs: AddVerb) -> None:
        verb = self.verb(verbs, "backfill", "load a range of the source, whatever was left out for its time")
        verb.add_argument("ingestion", help="id or name")
        verb.add_argument("--after", metavar="TIME", help="files modified from then on: 2025-01-01, 2025-01-01T06:00Z")
        verb.add_argument("--before", metavar="TIME", help="files modified before then")
        verb.add_argument("--prefix", help="files whose names begin so: an address, or what follows the source's path")
        self.waits(verb)

    def do_backfill(self, **options: Any) -> Exit:
        run = backfill_start(
            ingestion=self.ingestion(options),
            modified_after=_instant(options["after"], "after"),
            modified_before=_instant(options["before"], "before"),
            prefix=options["prefix"],
            user=acting_user(options["user"]),
        )
        return self.started(run, options)


def _instant(text: str | None, option: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigError(
            "bad_time", f"--{option} {text} is no time.", "Write 2025-01-31 or 2025-01-31T06:00Z.",
            field=f"modified_{option}",
        ) from None  # fmt: skip
