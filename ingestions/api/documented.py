"""What every operation says of itself: who may call it, and each status it can answer with."""

from __future__ import annotations

from typing import Any

from ingestions.api.auth import needs
from ingestions.api.schemas import Problem

#: any operation may answer these.
EVERYWHERE = (401, 403, 500, 503)


def operation(
    operation_id: str,
    *,
    scope: str,
    ok: dict[int, Any],
    problems: tuple[int, ...] = (),
    by_alias: bool = False,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for ninja's route decorators. ``ok`` maps the statuses of success to their models,
    ``problems`` lists further statuses of failure; ``extra`` is what the document says beside these.
    """
    failures = dict.fromkeys(sorted({*EVERYWHERE, *problems}), Problem)
    return {
        "operation_id": operation_id,
        "auth": needs(scope),
        "response": {**ok, **failures},
        "by_alias": by_alias,
        "exclude_unset": True,  # an answer shows what it was given, no defaults beside it
        "openapi_extra": {"x-scope": scope, **(extra or {})},
    }
