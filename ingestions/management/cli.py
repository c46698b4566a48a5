"""What the commands about ingestions share: who acts, and how a thing is found."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser
from django.db.models import Model, QuerySet

from autoloader.lib.commands import AddVerb, Ended, Exit, VerbCommand, as_table
from autoloader.lib.errors import ConfigError, NotFoundError
from ingestions.models import Ingestion

M = TypeVar("M", bound=Model)


class CliCommand(VerbCommand):
    """Verbs are methods ``do_<verb>(**options)`` that give back how it ended. Each knows ``--user``."""

    def verb(self, add: AddVerb, name: str, text: str) -> CommandParser:
        parser = add(name, partial(self._do, name), text)
        parser.add_argument("--user", help="who acts (default: the only administrator)")
        return parser

    def _do(self, name: str, options: dict[str, Any]) -> None:
        options["json"] = self.as_json
        code: Exit = getattr(self, f"do_{name.replace('-', '_')}")(**options)
        if code is not Exit.OK:
            raise Ended(code)

    def ingestion(self, options: dict[str, Any]) -> Ingestion:
        """The one that ``options["ingestion"]`` names, among those that who acts may see."""
        return find(Ingestion.objects.visible_to(acting_user(options["user"])), options["ingestion"], "ingestion")

    def out(self, document: Any) -> None:
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
        """Columns as wide as their widest value; ``empty`` where there is no row."""
        found = list(rows)
        for line in as_table([name.upper() for name in header], found) if found else [empty]:
            self.stdout.write(line)


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
