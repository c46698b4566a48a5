"""Changing an ingestion: parts of a configuration laid over the one that is kept, checked whole, told in effects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from autoloader.lib.errors import ConflictError
from ingestions.engine.config import MASK, IngestionConfig
from ingestions.engine.ledger import State
from ingestions.models import Credential, Ingestion, LedgerEntry, Run, SchemaChange
from ingestions.services import configuration
from ingestions.services.configuration import Checked, InvalidConfig
from ingestions.services.discovering import refuse_incremental
from ingestions.services.effects import Edit, effects
from ingestions.services.history import edit_record, edits_since
from ingestions.services.ingestions import credential_keep, credential_parts
from ingestions.services.lifecycle import Step, locked, own_credentials, step_to
from ingestions.services.merging import changed, merged, value_at
from ingestions.services.runs import priority_of, retries_give_up, runs_close_idle
from ingestions.services.schedules import plan_of_edit

#: what an answer shows beside the configuration: passed over, so that an answer can be sent back as it is.
ANSWERED = frozenset(
    {
        "id",
        "status_reason",
        "spark_connect_url",
        "created_at",
        "updated_at",
        "created_by",
        "totals",
        "metadata",
        "warnings",
        "effects",
    }
)
LONGEST_VALUE = 200


@dataclass(frozen=True)
class Edited:
    """``effects``: what the edit means for table and ledger, sentence by sentence; none where nothing changed."""

    ingestion: Ingestion
    warnings: tuple[str, ...]
    effects: tuple[str, ...]


class StaleEdit(ConflictError):
    """The edit was made over an older version; ``errors`` tells each field that was changed meanwhile."""

    def __init__(self, ingestion: Ingestion, version: int) -> None:
        records = edits_since(ingestion=ingestion, version=version)
        who = "; ".join(
            f"{record.by} changed {', '.join(record.fields)} at {record.at:%Y-%m-%d %H:%M:%S} UTC" for record in records
        )
        super().__init__(
            "stale_edit",
            f"The ingestion {ingestion.name!r} is at version {ingestion.config_version}, and the edit was made over "
            f"version {version}{': ' + who if who else ''}.",
            "Read it again, look at what changed, and repeat the edit; nothing of yours was kept.",
            field="config_version",
        )
        self.config_version = ingestion.config_version
        fields = dict.fromkeys(field for record in records for field in record.fields)
        self.errors = [{"loc": field, "msg": _now(ingestion, field)} for field in fields]


def _now(ingestion: Ingestion, field: str) -> str:
    if field.startswith("source.credentials"):
        return "was changed meanwhile"
    value = ingestion.status if field == "status" else value_at(ingestion.config, field)
    return f"was changed meanwhile; it is now {json.dumps(value, ensure_ascii=False)[:LONGEST_VALUE]}"


def ingestion_update(
    *, ingestion: Ingestion, changes: Any, user: Any, replace: bool = False, check_only: bool = False
) -> Edited:
    """Lays ``changes`` over the configuration: objects merge deeply, lists and null replace; ``replace`` takes them as
    the whole configuration instead. They may hold ``status`` too, and ``config_version``, the version they were made
    over. ``***`` keeps a secret. With ``check_only`` the answer is the same and nothing is kept.

    Raises ``InvalidConfig`` (422), ``ConfigError`` (400), :class:`StaleEdit` or another ``ConflictError`` (409);
    nothing is changed then.
    """
    asked = _Asked.of(changes)
    with transaction.atomic():
        row = locked(ingestion)
        if asked.version not in (None, row.config_version):
            raise StaleEdit(row, asked.version or 0)
        held = own_credentials(row.credential)
        old = row.configuration().to_json()
        checked = configuration.check(body=laid_over(old, asked.parts, held, replace=replace), user=row.owner)
        step = step_to(row, asked.status) if asked.status is not None else None
        edited = _keep(row, old, held, checked, step, user)
        runs_close_idle(ingestions=[row])
        if check_only:
            transaction.set_rollback(True)
        return edited


@dataclass(frozen=True)
class _Asked:
    parts: dict[str, Any]
    status: str | None
    version: int | None

    @classmethod
    def of(cls, changes: Any) -> _Asked:
        if not isinstance(changes, Mapping):
            raise InvalidConfig([{"loc": "body", "msg": "an object of fields is expected"}])
        parts = {key: value for key, value in changes.items() if key not in ANSWERED}
        status, version = parts.pop("status", None), parts.pop("config_version", None)
        if status is not None and status not in Ingestion.Status.values:
            raise InvalidConfig([{"loc": "status", "msg": "should be draft, active, paused or error"}])
        if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
            raise InvalidConfig([{"loc": "config_version", "msg": "should be the number that an answer shows"}])
        return cls(parts, status, version)


def laid_over(old: Mapping[str, Any], parts: dict[str, Any], held: Mapping[str, Any], *, replace: bool) -> Any:
    """The configuration as it shall be, with its credentials as they shall be."""
    body = parts if replace else merged(old, parts)
    if not isinstance(body.get("source"), Mapping):
        return body
    given = parts.get("source")
    said = given if isinstance(given, Mapping) else {}
    return {**body, "source": {**body["source"], "credentials": _credentials(old, said, held, replace=replace)}}


def _credentials(old: Mapping[str, Any], said: Mapping[str, Any], held: Mapping[str, Any], *, replace: bool) -> Any:
    """Inline credentials as they shall be: what is said laid over what is held, ``***`` keeping one, null taking one
    away. ``None`` for none. Another store starts with none."""
    if said.get("type", old["source"]["type"]) != old["source"]["type"]:
        held = {}
    other = said.get("credential_id") is not None
    if "credentials" not in said:
        return None if other or replace else held or None
    given = said["credentials"]
    if not isinstance(given, Mapping):
        return given
    if other and all(value == MASK or value == held.get(key) for key, value in given.items()):
        return None  # as an answer shows them, beside the id of others: these take their place
    wanted = given if replace else {**held, **given}
    return {
        key: held.get(key, MASK) if value == MASK else value for key, value in wanted.items() if value is not None
    } or None


def _keep(
    row: Ingestion, old: dict[str, Any], held: dict[str, Any], checked: Checked, step: Step | None, user: Any
) -> Edited:
    config = checked.config.model_copy(update={"cluster_id": str(checked.cluster.pk)})
    new = config.to_json()
    fields = changed(old, new)
    credentials = _credential_change(held, checked, row)
    if not (fields or credentials or step):
        return Edited(row, checked.warnings, ())
    _refuse_in_a_refresh(row, fields, config)
    if "source.discovery" in fields:
        refuse_incremental(row, config)
    told = tuple(_effects(row, old, new, fields, credentials, checked))
    moved = row.destination_key != config.destination.key
    values: dict[str, Any] = {
        "config": new,
        "name": config.name,
        "cluster": checked.cluster,
        "credential": _credential(row, checked, credentials),
        "destination_key": config.destination.key,
        "config_version": F("config_version") + 1,
        "updated_at": timezone.now(),
    }
    if "schedule.start" in fields:
        values["new_from"] = timezone.now() if config.schedule.start == "new_only" else None
    if moved:
        values |= _totals(row, config.destination.key)
    if moved or row.cluster_id != checked.cluster.pk:
        values["created_table"] = False  # whether it made the other table is not known, so it may not drop it
    if step is not None:
        values |= {"status": step.to, "status_reason": ""}
        told += (step.effect,)
        if step.to != Ingestion.Status.ACTIVE:
            retries_give_up(ingestions=[row])
    values |= plan_of_edit(row, config, step.to if step is not None else row.status)
    version = row.config_version
    if not Ingestion.objects.filter(pk=row.pk, config_version=version).update(**values):
        raise StaleEdit(locked(row), version)
    edited = Ingestion.objects.get(pk=row.pk)
    Run.objects.filter(ingestion=row, status=Run.Status.QUEUED).update(priority=priority_of(edited))
    before = row.credential
    if before is not None and before.inline and values["credential"] != before:
        before.delete()
    names = [*fields, *(["source.credentials"] if credentials else []), *(["status"] if step else [])]
    edit_record(ingestion=row, user=user, fields=names, version=version + 1)
    return Edited(edited, checked.warnings, told)


def _refuse_in_a_refresh(row: Ingestion, fields: list[str], config: IngestionConfig) -> None:
    """A refresh that was begun drops a table; another one must not come under it."""
    if row.refresh_mode and (row.destination_key != config.destination.key or "cluster_id" in fields):
        raise ConflictError(
            "refresh_begun",
            f"A refresh of {row.destination_key} was begun and has not ended.",
            "Run the ingestion once, so that it ends; then change where it loads to.",
            field="cluster_id" if "cluster_id" in fields else "destination",
        )


def _credential_change(held: dict[str, Any], checked: Checked, row: Ingestion) -> str:
    given = checked.credentials.model_dump(mode="json", exclude_defaults=True) if checked.credentials else {}
    if checked.credential is not None:
        return "replaced" if checked.credential != row.credential else ""
    if given == held:
        return "" if row.credential is None or row.credential.inline else "removed"
    return ("replaced" if held else "given") if given else "removed"


def _credential(row: Ingestion, checked: Checked, change: str) -> Credential | None:
    """The credential from now on. One of its own is changed in place; a shared one never is."""
    if checked.credential is not None or not change:
        return checked.credential or row.credential
    if checked.credentials is None:
        return None
    own = row.credential if row.credential is not None and row.credential.inline else None
    if own is None:
        return credential_keep(
            owner=row.owner,
            name=f"for {checked.config.name}"[:200],
            cloud=checked.config.source.type,
            credentials=checked.credentials,
            inline=True,
        )
    own.secret, own.public = credential_parts(checked.credentials)
    own.cloud = checked.config.source.type
    own.save(update_fields=["secret", "public", "cloud", "updated_at"])
    return own


def _totals(row: Ingestion, destination_key: str) -> dict[str, int]:
    """The counters that pages show, for the destination it has from now on."""
    entries = LedgerEntry.objects.filter(ingestion=row, destination_key=destination_key, state=State.LOADED)
    sums = entries.aggregate(rows=Coalesce(Sum("rows"), 0), bytes=Coalesce(Sum("size_bytes"), 0))
    asked = SchemaChange.objects.filter(ingestion=row, destination_key=destination_key).pending().count()
    return {
        "files_loaded": entries.count(),
        "rows_loaded": sums["rows"],
        "bytes_loaded": sums["bytes"],
        "changes_pending": asked,
    }


def _effects(
    row: Ingestion, old: dict[str, Any], new: dict[str, Any], fields: list[str], credentials: str, checked: Checked
) -> list[str]:
    key = checked.config.destination.key
    loaded = LedgerEntry.objects.filter(ingestion=row, destination_key=key, state=State.LOADED).count()
    return effects(
        Edit(
            old=old,
            new=new,
            fields=fields,
            old_table=row.destination_key,
            new_table=key,
            cluster=checked.cluster.name,
            loaded=loaded,
            table_made=loaded > 0 or row.schema_versions.filter(destination_key=key).exists(),
            credentials=credentials,
            run=Run.objects.active().filter(ingestion=row).values_list("status", flat=True).first(),
        )
    )
