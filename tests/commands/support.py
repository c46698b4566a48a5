"""Commands as a shell runs them, in this process: what they print, and their exit code."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

from django.db import connections

APPS = {"cluster": "clusters"}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def manage(*arguments: object) -> Done:
    """``manage.py`` with these arguments."""
    words = [str(word) for word in arguments]
    module = import_module(f"{APPS.get(words[0], 'ingestions')}.management.commands.{words[0]}")
    out, err, code = io.StringIO(), io.StringIO(), 0
    level = logging.getLogger().level
    # Django closes the database behind a command; the test that called it goes on.
    with redirect_stdout(out), redirect_stderr(err), patch.object(connections, "close_all"):
        try:
            module.Command(stdout=out, stderr=err, no_color=True).run_from_argv(["manage.py", *words])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            logging.getLogger().setLevel(level)
    return Done(code, out.getvalue(), err.getvalue())
