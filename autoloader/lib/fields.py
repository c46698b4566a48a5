"""The one encrypted model field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from autoloader.lib.crypto import SecretBox

if TYPE_CHECKING:  # the stubs' generic: any value may be set, any is read
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


def secret_box() -> SecretBox:
    return SecretBox(settings.ENCRYPTION_KEYS)


class EncryptedJSONField(_TextField):
    """A JSON value, encrypted in the database. ``None`` and empty values are kept as they are and are no secret."""

    _pyi_private_set_type: Any  # what the stubs' plugin reads: any value may be assigned
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return secret_box().open(value) if value else None

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return secret_box().seal(value) if value not in (None, "", {}) else None

    def value_to_string(self, obj: Any) -> str:
        """What ``dumpdata`` writes: the sealed text, never the secret."""
        return self.get_prep_value(self.value_from_object(obj)) or ""
