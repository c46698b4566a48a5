"""What a person decides about one file of the ledger."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from autoloader.lib.errors import ConflictError
from ingestions.engine.ledger import State
from ingestions.models import LedgerEntry, Run

#: states that a person may take a file out of.
_SKIPPED_FROM = frozenset({State.DISCOVERED, State.FAILED})
_RETRIED_FROM = frozenset({State.FAILED, State.SKIPPED, State.QUARANTINED})


def can_skip(*, file: LedgerEntry) -> bool:
    return file.state in _SKIPPED_FROM and file.destination_key == file.ingestion.destination_key


def can_retry(*, file: LedgerEntry) -> bool:
    """Whether :func:`file_retry` would do it, as things are now."""
    here = file.state in _RETRIED_FROM and file.destination_key == file.ingestion.destination_key
    return here and LedgerEntry.objects.filter(pk=file.pk).newest().exists()


def file_skip(*, file: LedgerEntry, user: Any) -> LedgerEntry:
    """A file that waits or has failed is not to be loaded; what stands in the table stays. ConflictError otherwise."""
    return _decide(
        file,
        _SKIPPED_FROM,
        state=State.SKIPPED,
        reason=f"skipped: {user.get_username()} said so",
    )


def file_retry(*, file: LedgerEntry) -> LedgerEntry:
    """A file that has failed, was skipped or has all of its rows in quarantine waits for the next run and is looked at
    anew; what it has in quarantine stays there until it is loaded. ConflictError otherwise, and
    for a version that was overwritten since: it could only be read as the later one, a second time."""
    if not LedgerEntry.objects.filter(pk=file.pk).newest().exists():
        raise ConflictError(
            "later_version",
            "A later version of this file is known; the content of this one is gone.",
            "Retry that one.",
        )
    return _decide(
        file,
        _RETRIED_FROM,
        state=State.DISCOVERED,
        reason="",
        error_code="",
        shape=None,
        run=None,
        duplicate_of=None,
    )


def _decide(file: LedgerEntry, allowed: frozenset[State], **changes: Any) -> LedgerEntry:
    with transaction.atomic():
        changes["cause"] = ""  # a person has decided, whatever the rules say
        rows = LedgerEntry.objects.filter(pk=file.pk, destination_key=file.ingestion.destination_key, state__in=allowed)
        if not rows.update(state_changed_at=timezone.now(), **changes):
            file.refresh_from_db()
            raise ConflictError(
                "file_state",
                f"The file is {file.state}; this can be done to one that is {' or '.join(sorted(allowed))}.",
                "A file that is being loaded has its outcome when its run ends."
                if Run.objects.active().filter(ingestion=file.ingestion).exists()
                else "Nothing was changed.",
            )
    file.refresh_from_db()
    return file
