"""Draft, active, paused, error: which step leads where, in one table; and the verbs that take the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from autoloader.lib.errors import ConflictError, NotFoundError
from ingestions.models import Credential, Ingestion
from ingestions.services import configuration
from ingestions.services.history import edit_record
from ingestions.services.runs import retries_give_up, runs_close_idle
from ingestions.services.schedules import planned

Status = Ingestion.Status


@dataclass(frozen=True)
class Step:
    """``verb`` in the hand of a person; ``effect`` is what it means."""

    verb: str
    to: Ingestion.Status
    effect: str


_ACTIVE = "It is active: its schedule, where it has one, starts runs from now on."
_PAUSED = "It is paused: nothing starts by itself. The run in hand goes on, and runs can be started by hand."
#: (status, verb) -> step. What is not here makes no sense, and :data:`_HINTS` says what does.
STEPS: dict[tuple[str, str], Step] = {
    (Status.DRAFT, "activate"): Step("activate", Status.ACTIVE, _ACTIVE),
    (Status.PAUSED, "activate"): Step("activate", Status.ACTIVE, _ACTIVE),
    (Status.ERROR, "activate"): Step("activate", Status.ACTIVE, _ACTIVE),
    (Status.ACTIVE, "pause"): Step("pause", Status.PAUSED, _PAUSED),
    (Status.ERROR, "pause"): Step("pause", Status.PAUSED, _PAUSED),
    (Status.PAUSED, "resume"): Step("resume", Status.ACTIVE, _ACTIVE),
    (Status.ERROR, "resume"): Step("resume", Status.ACTIVE, _ACTIVE),
}
_HINTS: dict[tuple[str, str], str] = {
    (Status.ACTIVE, "activate"): "Nothing is to be done.",
    (Status.DRAFT, "pause"): "Nothing starts a draft by itself; there is nothing to pause.",
    (Status.PAUSED, "pause"): "Nothing is to be done; resume it to go on.",
    (Status.DRAFT, "resume"): "Activate it first.",
    (Status.ACTIVE, "resume"): "Nothing is to be done.",
}
_VERB_OF = {Status.ACTIVE: "activate", Status.PAUSED: "pause"}


def verbs(ingestion: Ingestion) -> tuple[str, ...]:
    """What may be done from where it stands, each step once: a paused one is resumed rather than activated."""
    found = [verb for status, verb in STEPS if status == ingestion.status]
    return tuple(verb for verb in found if verb != "activate" or "resume" not in found)


def step(ingestion: Ingestion, verb: str) -> Step:
    """The step that this verb takes from where the ingestion stands. ConflictError where there is none."""
    found = STEPS.get((ingestion.status, verb))
    if found is None:
        raise ConflictError(
            "wrong_status",
            f"The ingestion {ingestion.name!r} is {_said(ingestion.status)}: there is nothing to {verb}.",
            _HINTS[ingestion.status, verb],
            field="status",
        )
    return found


def step_to(ingestion: Ingestion, status: str) -> Step | None:
    """The step to a status that a person asks for; ``None`` where it has it already."""
    if status == ingestion.status:
        return None
    if status not in _VERB_OF:
        raise ConflictError(
            "wrong_status",
            f"The ingestion {ingestion.name!r} is {_said(ingestion.status)} and cannot become {_said(status)}.",
            "Pause it instead." if status == Status.DRAFT else "Only the system sets this status.",
            field="status",
        )
    return step(ingestion, _VERB_OF[Status(status)])


def _said(status: str) -> str:
    return {Status.DRAFT: "a draft", Status.ERROR: "in error"}.get(Status(status), status)


def ingestion_activate(*, ingestion: Ingestion, user: Any) -> Ingestion:
    """Checks the configuration again, as the surroundings may have changed since it was kept."""
    return _take(ingestion, "activate", user)


def ingestion_pause(*, ingestion: Ingestion, user: Any) -> Ingestion:
    return _take(ingestion, "pause", user)


def ingestion_resume(*, ingestion: Ingestion, user: Any) -> Ingestion:
    """Back to active; checks the configuration again."""
    return _take(ingestion, "resume", user)


def _take(ingestion: Ingestion, verb: str, user: Any) -> Ingestion:
    with transaction.atomic():
        row = locked(ingestion)
        taken = step(row, verb)
        if taken.to == Status.ACTIVE:
            configuration.check(body=with_secrets(row), user=row.owner)
        version = row.config_version + 1
        Ingestion.objects.filter(pk=row.pk).update(
            status=taken.to,
            status_reason="",
            config_version=F("config_version") + 1,
            updated_at=timezone.now(),
            schedule_note="",
            **planned(pk=row.pk, schedule=row.configuration().schedule, status=taken.to),
        )
        if taken.to != Status.ACTIVE:
            retries_give_up(ingestions=[row])
            runs_close_idle(ingestions=[row])
        edit_record(ingestion=row, user=user, fields=["status"], version=version)
        row.refresh_from_db()
    return row


def locked(ingestion: Ingestion) -> Ingestion:
    """The row as it is now, held until the transaction ends. NotFoundError where it is gone."""
    row = Ingestion.objects.select_for_update().filter(pk=ingestion.pk).first()
    if row is None:
        raise NotFoundError("ingestion_not_found", "The ingestion was deleted meanwhile.", "")
    return row


def with_secrets(ingestion: Ingestion) -> dict[str, Any]:
    """The configuration as a body to check, with the credentials of its own; it goes nowhere else."""
    document = dict(ingestion.config)
    if held := own_credentials(ingestion.credential):
        document["source"] = {**document["source"], "credentials": held}
    return document


def own_credentials(credential: Credential | None) -> dict[str, Any]:
    """What an inline credential holds; empty for a shared one, which is nobody's to change here."""
    if credential is None or not credential.inline:
        return {}
    return credential.credentials().model_dump(mode="json", exclude_defaults=True)
