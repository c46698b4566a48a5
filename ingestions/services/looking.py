"""Looking before loading: previews, dry runs and cost. Nothing here writes to a table, a source or the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import FileError
from clusters import sessions
from clusters.models import Cluster
from ingestions.engine import cost
from ingestions.engine.advice import advise, disagreements, malformed_fate, no_statement
from ingestions.engine.bad_files import unreadable
from ingestions.engine.config import Credentials, IngestionConfig
from ingestions.engine.first_bytes import EMPTY_CODES
from ingestions.engine.ledger import Entry, State
from ingestions.engine.loader import open_loader
from ingestions.engine.loader.base import METADATA_COLUMNS, Column, TableLoader, TableState, Trial, Unnamed
from ingestions.engine.planner import sniff_all
from ingestions.engine.schema.policy import Mode
from ingestions.engine.sources.base import Source
from ingestions.engine.survey import Survey, survey
from ingestions.models import Ingestion, LedgerEntry
from ingestions.services import configuration, recording
from ingestions.services.editing import laid_over
from ingestions.services.lifecycle import own_credentials
from ingestions.services.source import source_with
from ingestions.services.starting import start_of

#: files whose rows are read, and bytes of them; the first file is read whatever its size.
FILES = 10
BYTES = 64 * 1024**2
ROWS_SHOWN = 20
#: a look takes no longer at a listing than this; what was counted until then is said to be a part.
LISTING_SECONDS = 10.0


@dataclass(frozen=True)
class Subject:
    """What is looked at: a configuration with all it needs to be read."""

    config: IngestionConfig
    cluster: Cluster
    credentials: Credentials | None
    maker: str = ""  # the word that a table made by it would carry
    #: of the saved ingestion that this is, as it is saved.
    version: int | None = None


@dataclass(frozen=True)
class Look:
    """The first files read as they would be loaded. ``problems``: files that cannot be read, with the reason."""

    survey: Survey
    entries: tuple[Entry, ...]
    problems: tuple[FileError, ...]
    table: TableState | None
    columns: tuple[Column, ...]
    ddl: tuple[str, ...]
    trial: Trial | None


def subject_posted(*, body: Any, user: Any, ingestion: Ingestion | None = None) -> Subject:
    """Of a posted configuration. ``***`` stands for the secrets of ``ingestion``. Raises as creating one would."""
    if ingestion is not None and isinstance(body, dict):
        held = own_credentials(ingestion.credential)
        body = laid_over(ingestion.configuration().to_json(), body, held, replace=True)
    checked = configuration.check(body=body, user=user)
    credentials = checked.credentials
    if checked.credential is not None:
        credentials = checked.credential.credentials()
    elif credentials is None and ingestion is not None and ingestion.credential is not None:
        credentials = ingestion.credential.credentials()
    return Subject(checked.config, checked.cluster, credentials)


def subject_of(ingestion: Ingestion) -> Subject:
    credential = ingestion.credential
    found = credential.credentials() if credential else None
    return Subject(ingestion.configuration(), ingestion.cluster, found, str(ingestion.pk), ingestion.config_version)


def preview(*, subject: Subject, rows: int = ROWS_SHOWN) -> dict[str, Any]:
    """REST's answer: the first files' rows as they will be loaded, by the user's cluster."""
    with _open(subject) as source:
        seen = _survey(subject, source)
        look = _look(subject, source, seen, min(rows, settings.SAMPLE_ROWS_LIMIT))
    return _preview(subject, look)


def dry_run(*, ingestion: Ingestion, bounded: Bounded | None = None) -> dict[str, Any]:
    """What the next run would do: files, rows by sample, the exact DDL, cost. ``bounded`` limits the cluster's part."""
    subject = subject_of(ingestion)
    ledger = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    with _open(subject) as source:
        seen = _survey(
            subject, source, known=partial(recording.known, ledger), start=start_of(ingestion, subject.config)
        )
        _add_waiting(seen, ledger)

        def work() -> Look:
            return _look(subject, source, seen, show=0)

        look = bounded.call(work) if bounded else work()
    rows = _estimated_rows(look)
    money = estimate(subject=subject, seen=seen)
    return {
        "ingestion_id": str(ingestion.pk),
        "files": seen.files,
        "bytes": seen.bytes,
        "files_skipped": dict(seen.skipped),
        "estimated_rows": rows,
        "batches": _batches(subject.config, seen),
        "write_mode": subject.config.destination.write_mode,
        "table": subject.config.destination.key,
        "table_exists": look.table is not None,
        "ddl": list(look.ddl) if seen.files else [],
        "no_ddl": no_statement(subject.config),
        "problems": [{"file": each.path, "message": each.message, "hint": each.hint} for each in look.problems],
        "first_files": [file.address for file in seen.first],
        "cost": {"compute": money["first_run"]["compute"], "seconds": money["first_run"]["seconds"],
                 "currency": money["currency"], "basis": money["basis"]},
        "hint": seen.hint,
        "complete": seen.complete,
    }  # fmt: skip


def estimate_cost(*, subject: Subject, bounded: Bounded | None = None) -> dict[str, Any]:
    """By a model. A saved ingestion remembers what a month costs, until it is edited. ``bounded`` limits the look."""

    def work() -> dict[str, Any]:
        with _open(subject) as source:
            return estimate(subject=subject, seen=_survey(subject, source))

    found = bounded.call(work) if bounded else work()
    if subject.version is not None:
        Ingestion.objects.filter(pk=subject.maker).update(
            monthly_cost=found["total_monthly"], monthly_cost_version=subject.version
        )
    return found


def estimate(*, subject: Subject, seen: Survey) -> dict[str, Any]:
    """The modelled cost of loading what was seen, and of what will come at the pace at which files came."""
    config, cluster = subject.config, subject.cluster
    now = timezone.now()
    age = now - seen.oldest_at if seen.oldest_at else None
    runs = cost.runs_a_month(config.schedule, now)
    work = cost.Workload(
        source=config.source.type,
        format=config.format.type,
        files=seen.files,
        bytes=seen.bytes,
        files_a_month=cost.arrivals(seen.recent_files, age),
        bytes_a_month=cost.arrivals(seen.recent_bytes, age),
        runs_a_month=runs,
        listings_a_month=runs,
        objects=seen.listed,
        polls=config.schedule.frequency == "continuous",
        files_per_batch=config.limits.files_per_batch,
        bytes_per_batch=config.limits.bytes_per_batch,
    )
    prices = cost.Prices(
        workers=cluster.workers,
        dbu_per_worker=cluster.dbu_per_worker,
        dbu_hour=cluster.price_dbu_hour,
        storage_gb_month=cluster.price_storage_gb_month,
        currency=cluster.currency,
    )
    return cost.estimate(work, prices)


# ---- the parts


@contextmanager
def _open(subject: Subject) -> Iterator[Source]:
    source = source_with(subject.config, subject.credentials)
    try:
        yield source
    finally:
        source.close()


def _survey(subject: Subject, source: Source, **more: Any) -> Survey:
    deadline = time.monotonic() + LISTING_SECONDS
    return survey(
        source,
        subject.config.source,
        overwritten=subject.config.format.overwritten,
        now=timezone.now(),
        keep=FILES,
        should_stop=lambda: time.monotonic() > deadline,
        **more,
    )


def _add_waiting(seen: Survey, ledger: Any) -> None:
    """Files that an earlier run has seen and not loaded."""
    waiting = ledger.filter(state__in=[State.DISCOVERED, State.CLAIMED])
    totals = waiting.aggregate(files=Count("id"), bytes=Sum("size_bytes", default=0))
    seen.files += totals["files"]
    seen.bytes += totals["bytes"]
    first = [row.remote_file() for row in waiting.order_by("id")[:FILES]]
    seen.first = [*first, *seen.first][:FILES]


def _look(subject: Subject, source: Source, seen: Survey, show: int) -> Look:
    entries, problems = _sniffed(subject, source, _sampled(seen.entries()))
    access = source.spark_access()
    with sessions.pool().lease(
        sessions.target_of(subject.cluster),
        timezone=subject.config.format.timezone,
        conf=access.conf,
        fingerprint=access.fingerprint,
    ) as lease:
        loader = open_loader(
            lease.spark, session_id=lease.session_id, config=subject.config, access=access, maker=subject.maker
        )
        table = loader.state()
        while entries:
            try:
                return _tried(loader, seen, entries, problems, table, show, adds=table is None or _adds(subject))
            except (FileError, Unnamed) as error:  # these files only, as in a run
                faults = _faults(loader, entries, error)
                left = tuple(entry for entry in entries if entry.file.address not in faults)
                if len(left) == len(entries):
                    raise
                entries, problems = left, (*problems, *faults.values())
    return Look(seen, (), problems, table, (), (), None)


def _faults(loader: TableLoader, entries: tuple[Entry, ...], error: FileError | Unnamed) -> dict[str, FileError]:
    """Address → what is wrong with it. None where all of several files fail with no name: that is no file's fault."""
    if isinstance(error, FileError):
        return {error.path: error}
    found = unreadable(loader.read_through, entries)
    return {each.path: each for each in found.values()} if len(found) < max(2, len(entries)) else {}


def _adds(subject: Subject) -> bool:
    """Whether a run by itself gives new columns to a table that is there."""
    schema = subject.config.format.schema_
    return Mode.of(schema.evolution_mode, schema.evolution_enabled) in (Mode.ADD, Mode.WIDEN)


def _tried(
    loader: TableLoader,
    seen: Survey,
    entries: tuple[Entry, ...],
    problems: tuple[FileError, ...],
    table: TableState | None,
    show: int,
    *,
    adds: bool,
) -> Look:
    inferred = loader.infer(entries) if adds else ()
    ddl = loader.planned(inferred, table)
    if table is None:
        columns = (*inferred, *(Column(name, type_) for name, type_ in METADATA_COLUMNS))
    else:
        known = {column.name.lower() for column in table.columns}
        ours = [Column(name, type_) for name, type_ in METADATA_COLUMNS if name.lower() not in known]
        fresh = [column for column in inferred if column.name.lower() not in known]
        columns = (*table.own_columns, *fresh, *table.columns[len(table.own_columns) :], *ours)
    return Look(seen, entries, problems, table, columns, ddl, loader.trial(entries, columns, show))


def _sampled(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The first of them up to so many bytes, one at least."""
    chosen: list[Entry] = []
    size = 0
    for entry in entries:
        size += entry.file.size_bytes
        if chosen and size > BYTES:
            break
        chosen.append(entry)
    return tuple(chosen)


def _sniffed(
    subject: Subject, source: Source, entries: tuple[Entry, ...]
) -> tuple[tuple[Entry, ...], tuple[FileError, ...]]:
    verdicts = sniff_all(source, entries, subject.config.format)
    good, bad = [], []
    for entry in entries:
        verdict = verdicts[entry.id]
        if not isinstance(verdict, FileError):
            good.append(replace(entry, shape=verdict))
        elif verdict.code not in EMPTY_CODES:
            bad.append(verdict)
    return tuple(good), tuple(bad)


def _estimated_rows(look: Look) -> int:
    """By the rows a byte of the files that were read."""
    size = sum(entry.file.size_bytes for entry in look.entries)
    if look.trial is None or not size:
        return 0
    if size == look.survey.bytes:
        return look.trial.rows_read
    return round(look.trial.rows_read * look.survey.bytes / size)


def _batches(config: IngestionConfig, seen: Survey) -> int:
    if config.destination.write_mode == "overwrite":
        return min(seen.files, 1)
    by_files = -(-seen.files // config.limits.files_per_batch)
    return max(by_files, -(-seen.bytes // config.limits.bytes_per_batch)) if seen.files else 0


def _preview(subject: Subject, look: Look) -> dict[str, Any]:
    trial, seen = look.trial, look.survey
    there = {column.name.lower() for column in look.table.columns} if look.table else set()
    ours = {name for name, _ in METADATA_COLUMNS}
    rows = trial.rows_read if trial else 0
    shown = trial.shown if trial else ()
    schema = [
        {
            "name": column.name,
            "data_type": column.type,
            "nullable": not column.required,
            "is_new": column.name.lower() not in there,
            "null_fraction": round(1 - trial.given(column.name) / rows, 4) if trial and rows else None,
            "rescued": trial.rescued.get(column.name, 0) if trial else 0,
            "examples": _examples(shown, column.name),
        }
        for column in look.columns
        if column.name not in ours
    ]
    return {
        "schema": schema,
        "sample_data": [json.dumps(row, ensure_ascii=False) for row in shown],
        "file_count": seen.files,
        "total_bytes": seen.bytes,
        "estimated_records": _estimated_rows(look),
        "malformed_records": trial.rescued.get("_corrupt_record", 0) if trial else 0,
        "malformed_fate": malformed_fate(subject.config),
        "rescued_records": sum(file.rescued_rows for file in trial.files.values()) if trial else 0,
        "files_read": [entry.file.address for entry in look.entries],
        "files_skipped": dict(seen.skipped),
        "inconsistencies": disagreements(look.entries, look.problems, trial),
        "recommendations": advise(subject.config, seen, look.entries, look.columns, trial, look.table is not None),
        "ddl": list(look.ddl),
        "no_ddl": no_statement(subject.config),
        "table_exists": look.table is not None,
        "hint": seen.hint,
        "complete": seen.complete,
    }


def _examples(shown: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    """Three different values, as text."""
    found: dict[str, None] = {}
    for row in shown:
        value = row.get(column)
        if value is not None and value != "":
            found.setdefault(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return [text[:200] for text in list(found)[:3]]
