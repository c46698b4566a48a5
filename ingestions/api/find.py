"""One object by the id in a path. What is not there, is not theirs, or is no id at all answers alike: 404."""

from __future__ import annotations

import uuid
from typing import TypeVar

from django.db.models import Model, QuerySet

from accounts.models import ApiToken
from autoloader.lib.errors import NotFoundError
from clusters.models import Cluster
from ingestions.api.auth import ApiRequest
from ingestions.api.problems import Forbidden
from ingestions.models import Alert, Ingestion, LedgerEntry, Run, SchemaChange
from ingestions.services import present

M = TypeVar("M", bound=Model)
#: more digits than any of our numbers has; databases refuse what exceeds 64 bits.
DIGITS = 18


def ingestion(request: ApiRequest, text: str) -> Ingestion:
    """With what an answer shows of it read along."""
    return _one(present.ingestions(Ingestion.objects.visible_to(request.auth.user)), _uuid(text), "ingestion")


def run(request: ApiRequest, ingestion_text: str, text: str) -> Run:
    rows = Run.objects.visible_to(request.auth.user).select_related("ingestion")
    return _one(rows.filter(ingestion=_uuid(ingestion_text)), _uuid(text), "run")


def file(request: ApiRequest, text: str) -> LedgerEntry:
    rows = LedgerEntry.objects.visible_to(request.auth.user).select_related("batch", "ingestion")
    return _one(rows, _number(text), "file")


def ingestions(request: ApiRequest, text: str | None) -> QuerySet[Ingestion]:
    """The one with this id, or all that this person may see."""
    rows = Ingestion.objects.visible_to(request.auth.user).order_by()
    return rows if text is None else rows.filter(pk=_one(rows, _uuid(text), "ingestion").pk)


def schema_change(request: ApiRequest, text: str) -> SchemaChange:
    rows = SchemaChange.objects.visible_to(request.auth.user).select_related("ingestion", "decided_by", "version")
    return _one(rows, _number(text), "schema_change")


def alert(request: ApiRequest, text: str) -> Alert:
    return _one(Alert.objects.visible_to(request.auth.user), _number(text), "alert")


def cluster(request: ApiRequest, text: str) -> Cluster:
    return _one(Cluster.objects.visible_to(request.auth.user), _uuid(text), "cluster")


def own_cluster(request: ApiRequest, text: str) -> Cluster:
    """One that this person may change: their own; those without an owner are the superusers'."""
    found = cluster(request, text)
    if found.owner_id is None and not request.auth.user.is_superuser:
        raise Forbidden("not_yours", f"The cluster {found.name!r} belongs to everybody.", "Ask an administrator.")
    return found


def token(request: ApiRequest, text: str) -> ApiToken:
    return _one(ApiToken.objects.visible_to(request.auth.user), _number(text), "token")


def _one(rows: QuerySet[M], key: uuid.UUID | int | None, what: str) -> M:
    row = rows.filter(pk=key).first() if key is not None else None
    if row is None:
        raise NotFoundError(
            f"{what}_not_found",
            f"There is no such {what.replace('_', ' ')}, or it is somebody else's.",
            "Look at the list for its id.",
        )
    return row


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None
