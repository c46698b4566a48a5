"""What the documents say is there: files, make targets, commands, fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from ingestions.engine import config, rules
from ingestions.management.feed_file import read_feed
from ingestions.services.configuration import parse

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
TEXT = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT[path]):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_targets_and_commands_are_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"`make ([a-z-]+)", TEXT[path]) + re.findall(r"^make ([a-z-]+)", TEXT[path], re.M):
        assert target in targets, target
    for command in re.findall(r"manage\.py ([a-z_-]+)", TEXT[path]):
        assert command in get_commands(), command


def test_the_proofs_that_are_named_exist() -> None:
    names = "\n".join(re.findall(r"def (test_\w+|dead_\w+)", "".join(_tests())))
    named = re.findall(r"`(test_\w+|…_\w+|dead_\w+)…?`", TEXT[ROOT / "docs" / "loading.md"])
    assert len(named) > 30
    for name in named:
        assert name.strip("…") in names, name


def _tests() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]


def test_the_examples_are_valid(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", TEXT[ROOT / "README.md"], re.S)
    assert len(examples) == 2
    for example in examples:
        file = tmp_path / "feed.yaml"
        file.write_text(example)
        parse(read_feed(str(file), {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}).body)


def test_the_examples_of_the_pages_are_valid() -> None:
    page = (ROOT / "templates/ingestions/new.html").read_text()
    found = re.findall(r'<pre id="hint-[a-z0-9]+">(.*?)</pre>', page, re.S)
    assert len(found) == 2
    whole = {
        "name": "x",
        "cluster_id": "x",
        "source": {"type": "local", "path": "/x"},
        "format": {"type": "json"},
        "destination": {"catalog": "c", "database": "d", "table": "t"},
    }
    for example in found:
        rules.check(parse({**whole, **yaml.safe_load(example)}))


def test_the_fields_that_are_explained_exist() -> None:
    table = re.findall(r"^\| (`.*?`) \|", TEXT[ROOT / "docs" / "configuration.md"], re.M)
    names = [name.strip("`") for cell in table for name in cell.split(", ")]
    assert len(names) > 20
    prefix = ""
    for name in names:
        if "." in name:
            prefix = name.rpartition(".")[0]
        path = name if "." in name or name in ("name", "cluster_id") else f"{prefix}.{name}"
        assert _exists(path), path


def _exists(path: str) -> bool:
    model: object = config.IngestionConfig
    for part in path.split("."):
        fields = getattr(model, "model_fields", {})
        found = fields.get(part) or next((field for field in fields.values() if field.alias == part), None)
        if found is None:
            return False
        model = found.annotation
    return True
