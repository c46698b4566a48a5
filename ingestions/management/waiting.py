"""Waiting for a run in a terminal: its progress on stderr, how it ended on stdout and in the exit code."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from autoloader.lib.commands import Exit
from autoloader.lib.words import plural
from ingestions.management.cli import CliCommand
from ingestions.models import Run
from ingestions.services import heartbeat, present
from ingestions.services.questions import held_back
from ingestions.services.status import RUN

#: a queued run that nobody takes for this long makes the command look for a worker.
LONELY_SECONDS = 5


class WaitingCommand(CliCommand):
    """``--wait``, ``--here`` and ``--timeout`` for verbs that start a run."""

    def waits(self, parser: CommandParser) -> None:
        parser.add_argument("--wait", action="store_true", help="wait for the end and show the progress")
        parser.add_argument("--here", action="store_true", help="do the work in this process; implies --wait")
        parser.add_argument("--timeout", type=float, default=3600, help="seconds to wait (default 3600)")

    def started(self, run: Run, options: dict[str, Any]) -> Exit:
        """Says that the run is in the queue, or waits for it."""
        if options["wait"] or options["here"]:
            return self._wait(run, options)
        if options["json"]:
            self.out({"run_id": str(run.pk), "ingestion_id": str(run.ingestion_id), "status": "accepted"})
        else:
            self.stdout.write(f"Run {run.pk} is in the queue. See: manage.py run show {run.pk}")
        return Exit.OK

    def _wait(self, run: Run, options: dict[str, Any]) -> Exit:
        deadline = time.monotonic() + options["timeout"]
        warned = False
        told = ""
        while run.is_active:
            if time.monotonic() > deadline:
                self.stderr.write(f"The run goes on. See: manage.py run show {run.pk}")
                return Exit.TIMEOUT
            if options["here"]:
                from ingestions.services.execution import run_work

                run_work(run_id=str(run.pk))
            else:
                warned = warned or self._lonely(run)
            time.sleep(0.3)
            run.refresh_from_db()
            told = self._tell(run, told, options)
        return self._ended(run, options)

    def _lonely(self, run: Run) -> bool:
        """Says once that nobody is there to do the work."""
        run.refresh_from_db()
        waited = timezone.now() - run.queued_at
        if run.status != Run.Status.QUEUED or waited.total_seconds() < LONELY_SECONDS or heartbeat.alive(kind="worker"):
            return False
        self.stderr.write("No worker is running. Start one (manage.py run_worker), or use --here.")
        return True

    def _tell(self, run: Run, told: str, options: dict[str, Any]) -> str:
        if options["json"]:
            return told
        line = (
            f"{run.phase or run.status}: {run.files_done} of {run.files_total} files, "
            f"{run.bytes_done} bytes, {run.rows_done} rows"
        )
        if line == told:
            return told
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{line}", ending="")
        else:
            self.stderr.write(line)
        return line

    def _ended(self, run: Run, options: dict[str, Any]) -> Exit:
        if options["json"]:
            self.out(present.run(run))
        else:
            if self.stderr.isatty():
                self.stderr.write("")
            self.stdout.write(
                f"{RUN[run.status].label}: {plural(run.files_loaded, 'file')}, {plural(run.rows_done, 'row')} in "
                f"{present.duration_seconds(run):g} s"
                + (f"; {plural(run.files_failed, 'file')} failed" if run.files_failed else "")
                + (f"; {run.files_skipped} skipped" if run.files_skipped else "")
            )
            if run.hint:
                self.stdout.write(run.hint)
            if run.files_held:
                self.stdout.write(
                    f"{held_back(run.files_held)} See: manage.py ingestion schema changes {run.ingestion_id}"
                )
            for error in run.errors.all()[:20]:
                self.stderr.write(f"{error.file or 'run'}: {error.message} {error.hint}")
        codes = {Run.Status.SUCCESS: Exit.OK, Run.Status.PARTIAL: Exit.PARTIAL}
        return codes.get(Run.Status(run.status), Exit.FAILED)
