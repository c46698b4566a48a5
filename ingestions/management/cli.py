"""What our commands share: who acts, how a thing is found, how an error is shown, and what the exit code means.

Exit codes: 0 done; 1 the run failed, or ledger and table differ; 2 wrong usage or input; 3 the run was partial;
4 it did not end in time.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model, QuerySet

from autoloader.lib.errors import AutoloaderError, ConfigError, NotFoundError

M = TypeVar("M", bound=Model)
OK, FAILED, USAGE, PARTIAL, TIMEOUT = range(5)
EXIT_CODES = "Exit codes: 0 done, 1 failed or different, 2 wrong usage or input, 3 partial, 4 not ended in time."


class CliCommand(BaseCommand):
    """A command with verbs. ``--json`` prints what REST answers; errors are three lines on stderr, no traceback."""

    requires_migrations_checks = True

    def add_arguments(self, parser: Any) -> None:
        parser.epilog = EXIT_CODES
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.add_verbs(verbs)

    def add_verbs(self, verbs: Any) -> None:
        raise NotImplementedError  # each command says its verbs

    def verb(self, verbs: Any, name: str, help_: str, *, user: bool = True) -> Any:
        parser = verbs.add_parser(name, help=help_, description=help_, epilog=EXIT_CODES)
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")
        if user:
            parser.add_argument("--user", help="who acts (default: the only administrator)")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = getattr(self, f"do_{options['verb'].replace('-', '_')}")(**options)
        except AutoloaderError as error:
            self.fail(error)
        if code:
            sys.exit(code)

    def fail(self, error: AutoloaderError) -> NoReturn:
        """What happened, what to do, which field; exit code 2 for input, 1 for all else."""
        lines = [f"Error: {error.message}", error.hint, f"Field: {error.field}" if error.field else ""]
        for fault in getattr(error, "errors", [])[1:]:
            lines.append(f"       {fault['loc']}: {fault['msg']}")
        code = USAGE if isinstance(error, ConfigError) else FAILED
        raise CommandError("\n".join(line for line in lines if line), returncode=code)

    def out(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
        """Columns as wide as their widest value; ``empty`` where there is no row."""
        texts = [[("" if value is None else str(value)) for value in row] for row in rows]
        if not texts:
            self.stdout.write(empty)
            return
        widths = [max(len(row[at]) for row in [list(header), *texts]) for at in range(len(header))]
        for row in [[name.upper() for name in header], *texts]:
            self.stdout.write("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def acting_user(name: str | None) -> Any:
    """The user of that name, or the only administrator. ConfigError where that is not clear."""
    users = get_user_model().objects
    if name:
        user = users.filter(username=name, is_active=True).first()
        if user is None:
            raise ConfigError("unknown_user", f"There is no active user {name!r}.", "Give one with --user.")
        return user
    administrators = list(users.filter(is_superuser=True, is_active=True)[:2])
    if len(administrators) != 1:
        many = "several administrators" if administrators else "no administrator"
        raise ConfigError("who_acts", f"There is {many}: it is not clear who acts.", "Say it with --user NAME.")
    return administrators[0]


def find(rows: QuerySet[M], wanted: str, what: str) -> M:
    """The row with this id or this name. NotFoundError, or ConfigError with the ids where a name is not unique."""
    try:
        found = list(rows.filter(pk=uuid.UUID(wanted)))
    except ValueError:
        found = list(rows.filter(name=wanted)[:10]) if hasattr(rows.model, "name") else []
    if not found:
        raise NotFoundError("not_found", f"There is no {what} {wanted!r}.", f"See `manage.py {what} list`.")
    if len(found) > 1:
        ids = ", ".join(str(row.pk) for row in found)
        raise ConfigError("ambiguous_name", f"Several {what}s are called {wanted!r}: {ids}.", "Give the id.")
    return found[0]
