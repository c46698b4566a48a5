"""Ingestions as text and back: exported without secrets, imported all or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from autoloader.lib.errors import ConfigError, ConflictError
from clusters.models import Cluster
from ingestions.engine.config import MASK
from ingestions.models import Ingestion
from ingestions.services import configuration
from ingestions.services.editing import ingestion_update
from ingestions.services.feed_text import FeedDocument, read_documents, write_document
from ingestions.services.ingestions import ingestion_create

SECRETS_COMMENT = f"""\
"{MASK}" stands for a secret that is not exported. Where the ingestion is there already, an update keeps its secret.
Elsewhere write the secret, or (for manage.py) ${{NAME}}, which puts in that variable of the environment."""


@dataclass(frozen=True)
class Imported:
    """``action``: ``created``, ``updated`` or ``unchanged``."""

    ingestion: Ingestion
    action: str
    effects: tuple[str, ...]
    warnings: tuple[str, ...]


def ingestions_export(*, rows: Iterable[Ingestion], user: Any) -> str:
    """YAML, one document an ingestion, without what is as by default. Clusters go by name where it is clear."""
    names = Counter(Cluster.objects.visible_to(user).values_list("name", flat=True))
    return "".join(_text(row, names) for row in rows)


def _text(row: Ingestion, names: Mapping[str, int]) -> str:
    config = row.configuration()
    document = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    name = row.cluster.name
    document["cluster_id"] = name if names[name] == 1 and not _is_uuid(name) else str(row.cluster_id)
    credential = row.credential
    secrets = dict.fromkeys(credential.secret or {}, MASK) if credential is not None and credential.inline else {}
    if credential is not None and credential.inline:
        document["source"] = {**document["source"], "credentials": {**credential.public, **secrets}}
    return write_document(document, SECRETS_COMMENT if secrets else "")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def ingestions_import(
    *,
    data: bytes,
    name: str,
    owner: Any,
    update: bool = False,
    environment: Mapping[str, str] | None = None,
    check_only: bool = False,
) -> list[Imported]:
    """Makes an ingestion of each document of the YAML text ``data``, which is called ``name`` in errors. With
    ``update`` one of the same name is changed instead: the document is its whole configuration from then on.

    All or none: the first document that is refused takes back the others. Raises ConfigError (and its kinds) that
    names document, line and field. ``environment``: values of ``${…}``, ``None`` where none may be used. With
    ``check_only`` the answer is the same and nothing is kept.
    """
    documents = read_documents(data, name, environment)
    done: list[Imported] = []
    names: set[str] = set()
    with transaction.atomic():
        for document in documents:
            try:
                done.append(_import(document, owner, names, update=update))
            except ConfigError as error:
                raise document.located(error) from None
        if check_only:
            transaction.set_rollback(True)
    return done


def _import(document: FeedDocument, owner: Any, names: set[str], *, update: bool) -> Imported:
    name = configuration.parse(document.body).name
    if name in names:
        raise ConfigError("name_twice", f"Two documents are called {name!r}.", "Give each its own name.", field="name")
    names.add(name)
    there = _called(name, owner)
    if there is None:
        made, warnings = ingestion_create(owner=owner, config=document.body)
        return Imported(made, "created", (), warnings)
    if not update:
        raise ConflictError(
            "name_taken",
            f"There is an ingestion {name!r} already.",
            "Import with update to change it, or give the document another name.",
            field="name",
        )
    edited = ingestion_update(ingestion=there, changes=document.body, user=owner, replace=True)
    return Imported(edited.ingestion, "updated" if edited.effects else "unchanged", edited.effects, edited.warnings)


def _called(name: str, owner: Any) -> Ingestion | None:
    """The ingestion of this name: one's own before others that one may see."""
    own = list(Ingestion.objects.filter(owner=owner, name=name)[:2])
    found = own or list(Ingestion.objects.visible_to(owner).filter(name=name)[:2])
    if len(found) > 1:
        raise ConfigError(
            "ambiguous_name", f"Several ingestions are called {name!r}.", "Rename the others first.", field="name"
        )
    return found[0] if found else None
