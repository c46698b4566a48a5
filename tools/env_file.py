"""Reads ``.env`` before anything is installed, to the same values that the application reads from it afterwards."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LINE = re.compile(r"(?:export )?([A-Za-z_0-9]+)=(.*)")


def load(path: Path) -> None:
    """Sets the variables of the file that the environment has not. A file that is not there says nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    kept = {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line))}
    for name, text in kept.items():
        os.environ.setdefault(name, _unquoted(text))


def _unquoted(text: str) -> str:
    """As django-environ has it: a value that begins and ends with quotes goes without, and nothing is a comment."""
    if quoted := re.fullmatch(r"'(.*)'", text):
        return quoted[1]
    if quoted := re.fullmatch(r'"(.*)"', text):
        return re.sub(r"\\(.)", lambda found: found[0] if found[1] in "rnt" else found[1], quoted[1])
    return text
