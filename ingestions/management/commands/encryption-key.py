"""``manage.py encryption-key``: a new key for AUTOLOADER_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Prints a new key. Put it first in AUTOLOADER_ENCRYPTION_KEYS and keep the old ones behind it."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(Fernet.generate_key().decode())
