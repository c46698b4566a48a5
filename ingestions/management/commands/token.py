"""``manage.py token``: create, list and revoke the personal access tokens of the REST API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import ApiToken
from accounts.services import SCOPES, token_create, token_revoke
from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import ConfigError, NotFoundError
from ingestions.management.cli import CliCommand, acting_user
from ingestions.services.present import instant


class Command(CliCommand):
    help = "Makes, lists and revokes tokens of the REST API."

    def add_verbs(self, verbs: AddVerb) -> None:
        create = self.verb(verbs, "create", "make a token; it is shown once")
        create.add_argument("--name", default="token", help="what it is for")
        create.add_argument("--scopes", default="read", help=f"one or more of {', '.join(SCOPES)}; the highest counts")
        create.add_argument("--days", type=int, help="days until it expires (default: never)")
        self.verb(verbs, "list", "tokens, newest first")
        self.verb(verbs, "revoke", "end a token").add_argument("token", help="id, or the first characters")

    def do_create(self, **options: Any) -> Exit:
        scopes = [scope.strip() for scope in options["scopes"].split(",")]
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise ConfigError("unknown_scope", f"There is no scope {unknown[0]!r}.", f"Use {', '.join(SCOPES)}.")
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] is not None else None
        scope = max(scopes, key=SCOPES.index)
        row, text = token_create(
            user=acting_user(options["user"]), name=options["name"], scope=scope, expires_at=expires
        )
        if options["json"]:
            self.out({**_present(row), "token": text})
        else:
            self.stdout.write(text)
            self.stderr.write(f"Scope {scope}. Keep it: it is not shown again.")
        return Exit.OK

    def do_list(self, **options: Any) -> Exit:
        rows = ApiToken.objects.visible_to(acting_user(options["user"])).select_related("user")
        if options["json"]:
            self.out([_present(row) for row in rows])
            return Exit.OK
        self.table(
            ("id", "token", "name", "user", "scope", "last used", "state"),
            (
                (row.pk, f"{row.prefix}…", row.name, row.user, row.scope, instant(row.last_used_at), _state(row))
                for row in rows
            ),
            "No token yet. Make one: manage.py token create --name NAME --scopes read",
        )
        return Exit.OK

    def do_revoke(self, **options: Any) -> Exit:
        rows = ApiToken.objects.visible_to(acting_user(options["user"]))
        wanted = options["token"]
        found = rows.filter(pk=int(wanted)) if wanted.isdigit() else rows.filter(prefix=wanted.rstrip("…")[:8])
        if len(found) != 1:
            raise NotFoundError("not_found", f"{len(found)} tokens are {wanted!r}.", "See `manage.py token list`.")
        token_revoke(token=found[0])
        if options["json"]:
            self.out({"revoked": True})
        else:
            self.stdout.write(f"Revoked {found[0].name}.")
        return Exit.OK


def _state(row: ApiToken) -> str:
    if row.revoked_at:
        return "revoked"
    return "expired" if row.expires_at and row.expires_at <= timezone.now() else "usable"


def _present(row: ApiToken) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "user": row.user.get_username(),
        "scope": row.scope,
        "created_at": instant(row.created_at),
        "expires_at": instant(row.expires_at),
        "last_used_at": instant(row.last_used_at),
        "state": _state(row),
    }
