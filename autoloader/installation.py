"""What an installation has before its processes start: tables, an administrator, static files. Each step repeatable."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

ADMINISTRATOR = "admin"


def migrate() -> bool:
    """Brings the database up to date; whether there was something to do."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return False
    call_command("migrate", interactive=False, verbosity=0)
    return True


def create_administrator() -> str | None:
    """Makes the user ``admin`` where nobody may administer yet. Returns its new password, which is kept nowhere."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(ADMINISTRATOR, password=password)
    return password


def collect_static() -> bool:
    """Collects the static files where any of them changed since the last time; whether it did."""
    stamp = settings.STATIC_ROOT.with_name(f"{settings.STATIC_ROOT.name}.stamp")
    digest = _static_digest()
    if settings.STATIC_ROOT.is_dir() and stamp.is_file() and stamp.read_text() == digest:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(digest)
    return True


def _static_digest() -> str:
    seen = hashlib.sha256()
    for finder in finders.get_finders():
        for path, storage in finder.list(None):
            seen.update(f"{path}\0{storage.size(path)}\0{storage.get_modified_time(path).timestamp()}\n".encode())
    return seen.hexdigest()
