"""What every command of ours has in common: verbs, ``--json``, errors in three lines, exit codes that mean something.

Results go to stdout, everything said beside them (progress, notices, errors, logs) to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from autoloader.lib.errors import AutoloaderError, ConfigError, DeadlineError, TransientError


class Exit(IntEnum):
    """What the shell sees in ``$?``."""

    OK = 0
    FAILED = 1
    REFUSED = 2
    PARTIAL = 3
    TIMEOUT = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EXIT_CODES = """\
exit codes:
  0    done
  1    it failed: the run failed or was cancelled, ledger and table differ, the cluster or the storage refused
  2    refused, nothing was changed: wrong usage, invalid configuration, no such object, a state that does not allow it
  3    partial: some files of the run failed, the others are loaded
  4    the time was up; what was started goes on by itself
  130  interrupted with Ctrl-C; what was started goes on by itself
"""


class Ended(Exception):
    """The command has said all it has to say, and the answer is not ``Exit.OK``."""

    def __init__(self, code: Exit) -> None:
        super().__init__(f"exit code {int(code)}")
        self.code = code


def exit_code(error: AutoloaderError) -> Exit:
    if isinstance(error, DeadlineError):
        return Exit.TIMEOUT
    return Exit.REFUSED if isinstance(error, ConfigError) else Exit.FAILED


def clean(value: object) -> str:
    """Text that a terminal can show: names of files may hold control sequences, line breaks, half characters."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def told(error: AutoloaderError) -> list[str]:
    """The error for people: what happened, each fault where there are several, what to do, the field at fault."""
    lines = [f"Error: {error.message}"]
    faults: list[dict[str, str]] = getattr(error, "errors", [])
    if len(faults) > 1:
        lines += [f"  {fault['loc']}: {fault['msg']}" for fault in faults]
    if error.hint:
        lines.append(f"Hint: {error.hint}")
    if error.field:
        lines.append(f"Field: {error.field}")
    return [clean(line) for line in lines]


def as_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Aligned text; numbers stand to the right, ``None`` is empty."""
    written = [[_cell(value) for value in row] for row in rows]
    numeric = [bool(written) and all(_numeric(row[index]) for row in written) for index in range(len(header))]
    lines = [list(header), *written]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else clean(value)


def _numeric(text: str) -> bool:
    return not text or text.replace(",", "").lstrip("-").isdigit()


class AddVerb(Protocol):
    def __call__(self, name: str, function: Callable[[dict[str, Any]], None], text: str) -> CommandParser: ...


class _Formatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's own options last, the exit codes as they are written."""


class VerbCommand(BaseCommand, ABC):
    """``manage.py <object> <verb>``. From Python (``call_command``) it raises :class:`AutoloaderError` and
    :class:`Ended`; from a shell they become text and an exit code, and only what nobody expected keeps its traceback.
    """

    requires_system_checks: list[str] = []
    as_json = False

    @abstractmethod
    def add_verbs(self, add: AddVerb) -> None:
        """Each command's own."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=_Formatter, epilog=EXIT_CODES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)

        def add(name: str, function: Callable[[dict[str, Any]], None], text: str) -> CommandParser:
            verb: CommandParser = verbs.add_parser(
                name,
                help=text,
                description=f"{text[:1].upper()}{text[1:]}.",
                epilog=EXIT_CODES,
                formatter_class=_Formatter,
            )
            verb.set_defaults(function=function)
            verb.add_argument("--json", action="store_true", dest="as_json", help="print JSON, as REST answers it")
            return verb

        self.add_verbs(add)

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["as_json"]
        options["function"](options)

    def run_from_argv(self, argv: list[str]) -> None:
        wants_traceback = "--traceback" in argv
        _logs_beside(verbose=any(word in argv for word in ("-v2", "-v3", "--verbosity=2", "--verbosity=3")))
        try:
            super().run_from_argv(argv)
            sys.stdout.flush()
        except Ended as ended:
            sys.exit(ended.code)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.", style_func=str)
            sys.exit(Exit.INTERRUPTED)
        except BrokenPipeError:
            # The reader of a pipe (head, less) has seen enough; the interpreter would complain when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(Exit.BROKEN_PIPE)
        except (AutoloaderError, DatabaseError) as error:
            known = error if isinstance(error, AutoloaderError) else _database_error(error)
            if wants_traceback or known is None:
                raise
            self._report(known)
            sys.exit(exit_code(known))

    def _report(self, error: AutoloaderError) -> None:
        if not self.as_json:
            self.say(*told(error))
            return
        document = {"code": error.code, "detail": error.message, "hint": error.hint, "field": error.field}
        if faults := getattr(error, "errors", None):
            document["errors"] = faults
        self.say(json.dumps(document))

    def say(self, *lines: str) -> None:
        """Beside the result: on stderr, in no colour."""
        for line in lines:
            self.stderr.write(line, style_func=str)

    def show(self, document: object, lines: Callable[[], Iterable[str]]) -> None:
        """The result: ``document`` with ``--json``, else the lines for people."""
        if self.as_json:
            self.stdout.write(json.dumps(document, indent=2))
            return
        for line in lines():
            self.stdout.write(line)


def _logs_beside(*, verbose: bool) -> None:
    """Logs go to stderr, so that stdout holds the result only; unless asked for, no more than warnings of them."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    if not verbose:
        root.setLevel(max(root.level, logging.WARNING))


def _database_error(error: DatabaseError) -> AutoloaderError | None:
    """A database that is away or not set up is no fault of the program; anything else is."""
    with contextlib.suppress(DatabaseError):
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return ConfigError(
                "database_not_ready",
                "The database lacks tables or columns that this version needs.",
                "Run `manage.py migrate`, or start everything with `make run`.",
            )
        return None
    return TransientError(
        "database_away", "The database does not answer.", "Look at DATABASE_URL, and whether its server runs."
    )
