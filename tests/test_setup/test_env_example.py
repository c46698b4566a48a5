"""Each variable that the product reads is explained in ``.env.example``, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import environ
import pytest

from tools import env_file

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


#: settings that hold what a variable says.
SETTINGS = """
import json, django
from django.conf import settings as s
names = ("PORT", "ALLOWED_HOSTS", "HTTPS", "DEBUG", "CSRF_TRUSTED_ORIGINS", "METRICS_PUBLIC", "LOCAL_ROOTS",
    "ALLOWED_NETWORKS", "DATABASES", "SPARK_CONNECT_DEFAULT_PORT", "SPARK_SESSION_POOL_SIZE", "CHECKPOINT_BASE_PATH",
    "SPARK_SESSION_IDLE_SECONDS", "SPARK_SESSION_MAX_AGE_SECONDS", "SPARK_SESSION_WAIT_SECONDS", "COST_PER_DBU_HOUR",
    "STORAGE_COST_PER_GB", "WORKERS", "LEASE_SECONDS", "SLICE_SECONDS", "SLICE_TIMEOUT_SECONDS", "LOG_LEVEL",
    "DATA_DIR", "TOOLS_DIR", "SECRET_KEY", "ENCRYPTION_KEYS")
print(json.dumps({name: getattr(s, name) for name in names}, default=str))
"""


def settings_with(variables: dict[str, str], folder: Path) -> dict[str, object]:
    kept = {name: value for name, value in os.environ.items() if name not in explained()}
    told = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        cwd=folder,
        env=kept | {"DJANGO_SETTINGS_MODULE": "autoloader.settings", "PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert isinstance(found, dict)
    return found


def test_each_line_shows_the_default(tmp_path: Path) -> None:
    """A person who takes all lines in changes nothing by it."""
    lines = re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    data = {"AUTOLOADER_DATA_DIR": str(tmp_path / "data"), "AUTOLOADER_TOOLS_DIR": str(tmp_path / ".tools")}
    plain = settings_with(data, tmp_path)
    shown = settings_with(dict(lines) | data, tmp_path)
    for one in (plain, shown):  # a path may be written from where the program starts
        one["LOCAL_ROOTS"] = [str((tmp_path / str(root)).resolve()) for root in one["LOCAL_ROOTS"]]  # type: ignore[attr-defined]
        one["CHECKPOINT_BASE_PATH"] = str((tmp_path / str(one["CHECKPOINT_BASE_PATH"])).resolve())
        database = one["DATABASES"]["default"]  # type: ignore[index]
        database["NAME"] = str((tmp_path / database["NAME"]).resolve())
    assert shown == plain


@pytest.mark.parametrize(
    "line",
    [
        "A=b",
        "A='b c'",
        'A="b"',
        r'A="b\"c\n"',
        "A=b # c",
        "export A=b",
        "A=",
        "A = b",
        "# A=b",
        "A=b=c",
        "A='b' c",
        "B=c",
    ],
)
def test_setting_up_reads_the_file_as_the_application_does(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\nB=d\n")
    found = []
    for read_it in (env_file.load, environ.Env.read_env):
        with monkeypatch.context() as patch:
            kept = {"C": "c"}
            patch.setattr(os, "environ", kept)
            patch.setattr(environ.Env, "ENVIRON", kept)
            read_it(path)
            found.append(kept)
    assert found[0] == found[1]


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MAVEN_REPO=https://file.example\n")
    monkeypatch.setenv("MAVEN_REPO", "https://environment.example")
    env_file.load(tmp_path / ".env")
    assert os.environ["MAVEN_REPO"] == "https://environment.example"
