"""Each variable that the product reads is explained in ``.env.example``, and nothing else is."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(
    r"""\benv\.\w+\(\s*"([A-Z_]+)"|environ(?:\.get\(|\[)\s*['"]([A-Z_]+)['"]|^TOKEN_VARIABLE = "([A-Z_]+)\"""", re.M
)
#: set by the product for its own processes, by Django, or read by the tool that makes pictures.
OWN = {"DJANGO_SETTINGS_MODULE", "AUTOLOADER_PASSWORD"}


def read() -> set[str]:
    found: set[str] = set()
    for folder in ("autoloader", "clusters", "ingestions", "accounts", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            for match in READ.finditer(path.read_text()):
                found |= {name for name in match.groups() if name}
    return found - OWN


def explained() -> set[str]:
    return set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))


def test_every_variable_is_explained() -> None:
    assert len(read()) > 25
    assert read() - explained() == set()


def test_nothing_is_explained_that_is_not_read() -> None:
    assert explained() - read() == set()


def test_each_has_words_above_it() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for above, line in pairwise(lines):
        if re.match(r"#[A-Z_]+=", line):
            assert above.startswith("# ") or re.match(r"#[A-Z_]+=", above), line
