"""``manage.py up``: the whole installation in one command, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from autoloader.lib.errors import AutoloaderError
from autoloader.supervisor import Options, Supervisor
from ingestions.worker import STUCK_SECONDS


class Command(BaseCommand):
    help = "Starts embedded Spark, worker, scheduler and web, keeps them running, and stops them in order."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--logs", choices=("files", "stdout"), help="where the processes log (default: files on a terminal)"
        )
        parser.add_argument(
            "--no-sample", action="store_true", help="do not load the bundled sample on the first start"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        to_files = options["logs"] == "files" or (options["logs"] is None and sys.stdout.isatty())
        # stdout is for logs when they go there: then these lines for people go beside it
        out = self.stdout if to_files else self.stderr
        supervisor = Supervisor(
            Options(
                base_dir=settings.BASE_DIR,
                data_dir=settings.DATA_DIR,
                tools_dir=settings.TOOLS_DIR,
                bind=os.environ.get("AUTOLOADER_BIND") or "127.0.0.1",
                port=settings.PORT,
                logs_to_files=to_files,
                with_sample=not options["no_sample"],
                worker_stop_seconds=settings.STOP_SECONDS + STUCK_SECONDS + 5,
            ),
            say=lambda text: (out.write(text, style_func=str), out.flush())[1],
        )
        try:
            supervisor.run()
        except AutoloaderError as error:
            raise CommandError(str(error)) from None
