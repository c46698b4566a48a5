"""The verbs of an ingestion. They own the transactions; faces only call them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from autoloader.lib.errors import ConflictError
from ingestions.engine.config import SECRET_FIELDS, Credentials
from ingestions.models import Credential, Ingestion, Run
from ingestions.services import configuration
from ingestions.services.runs import runs_close_idle


def ingestion_create(*, owner: Any, config: Any) -> tuple[Ingestion, tuple[str, ...]]:
    """A draft (it can be run by hand) and the warnings. ``config`` is the REST body, a dictionary.

    Raises ``InvalidConfig`` (422) or ``ConfigError`` (400); nothing is kept then.
    """
    checked = configuration.check(body=config, user=owner)
    with transaction.atomic():
        credential = checked.credential
        if credential is None and checked.credentials is not None:
            credential = credential_keep(
                owner=owner,
                name=f"for {checked.config.name}"[:200],
                cloud=checked.config.source.type,
                credentials=checked.credentials,
                inline=True,
            )
        kept = checked.config.model_copy(update={"cluster_id": str(checked.cluster.pk)})
        ingestion = Ingestion.objects.create(
            owner=owner,
            name=kept.name,
            cluster=checked.cluster,
            credential=credential,
            config=kept.to_json(),
            destination_key=kept.destination.key,
            new_from=timezone.now() if kept.schedule.start == "new_only" else None,
        )
    return ingestion, checked.warnings


def credential_keep(*, owner: Any, name: str, cloud: str, credentials: Credentials, inline: bool) -> Credential:
    """Keeps credentials, secrets encrypted apart from what may be shown."""
    secret, public = credential_parts(credentials)
    return Credential.objects.create(owner=owner, name=name, cloud=cloud, secret=secret, public=public, inline=inline)


def credential_parts(credentials: Credentials) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is secret, what may be shown) of credentials, only what is set."""
    given = credentials.model_dump(mode="json", exclude_defaults=True)
    return (
        {key: value for key, value in given.items() if key in SECRET_FIELDS},
        {key: value for key, value in given.items() if key not in SECRET_FIELDS},
    )


def ingestion_delete(*, ingestion: Ingestion) -> None:
    """Forgets the ingestion, its runs and its ledger; the table and the files stay. Refused while a run is active."""
    with transaction.atomic():
        locked = Ingestion.objects.select_for_update().get(pk=ingestion.pk)
        runs_close_idle(ingestions=[locked])
        if Run.objects.active().filter(ingestion=locked).exists():
            raise ConflictError(
                "run_active",
                f"The ingestion {locked.name!r} has an active run.",
                "Wait until it ends, then delete the ingestion.",
            )
        credential = locked.credential
        locked.delete()
        if credential is not None and credential.inline:
            credential.delete()
