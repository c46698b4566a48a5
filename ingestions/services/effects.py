"""What an edit means for the table and the ledger, told in sentences before anybody wonders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingestions.models import Run


@dataclass(frozen=True)
class Edit:
    """``old`` and ``new`` are stored configurations without secrets, ``fields`` the dotted names that differ.

    ``loaded``: files that count as loaded for the destination the ingestion has from now on. ``table_made``: whether
    that destination's table is known to be there. ``credentials``: ``replaced``, ``removed``, ``given`` or ``""``.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    fields: Sequence[str]
    old_table: str
    new_table: str
    cluster: str
    loaded: int
    table_made: bool
    credentials: str
    run: str | None

    def touches(self, *prefixes: str) -> bool:
        return any(field == prefix or field.startswith(f"{prefix}.") for field in self.fields for prefix in prefixes)

    @property
    def moved(self) -> bool:
        """Whether rows go into another table from now on."""
        return self.old_table != self.new_table


def effects(edit: Edit) -> list[str]:
    """Sentences, the weightiest first; empty where the edit changes nothing."""
    if not edit.fields and not edit.credentials:
        return []
    told = [*_destination(edit), *_source(edit), *_format(edit), *_rest(edit)]
    return [*told, *_run(edit)] or ["The next run goes by it; table and ledger stay as they are."]


def _destination(edit: Edit) -> Iterator[str]:
    if edit.moved:
        if edit.loaded:
            yield (
                f"The destination is {edit.new_table} now. Its ledger is kept from before: {edit.loaded:,} files count "
                "as loaded there, and the next run loads the others."
            )
        else:
            yield (
                f"The destination is {edit.new_table} now. It starts with nothing loaded: the next run loads every "
                "file of the source into it."
            )
        yield f"The table {edit.old_table} stays as it is, with its rows."
    if edit.touches("cluster_id"):
        yield f"Runs go to the cluster {edit.cluster} from now on."
        if not edit.moved and edit.loaded:
            yield (
                f"The memory stays: {edit.loaded:,} files count as loaded. If {edit.new_table} is another table on "
                "this cluster, it will not hold their rows."
            )
    if edit.touches("destination.write_mode"):
        yield (
            f"The write mode is {edit.new['destination']['write_mode']} from the next run on; rows that stand in the "
            "table already stay until a run replaces them."
        )
    elif edit.touches("destination.merge_keys", "destination.order_by", "destination.null_keys"):
        yield "Rows are merged by the new rules from the next run on; rows merged before stay as they are."
    if edit.touches("destination.delete_when"):
        yield "Rows are deleted by the new condition from the next run on; what was deleted before stays deleted."
    if edit.table_made and not edit.moved:
        for field, what in _OF_A_NEW_TABLE:
            if edit.touches(field):
                yield (
                    f"{what} of a table that exists already stays as it is: the edit does nothing until the table is "
                    "made anew by a full refresh."
                )


_OF_A_NEW_TABLE = (
    ("destination.partitioning", "The partitioning"),
    ("destination.sort_by", "The sort order"),
    ("destination.properties", "The set of properties"),
    ("format.column_order", "The order of columns"),
)
_WANTED = (
    "source.exclude_pattern",
    "source.min_bytes",
    "source.max_bytes",
    "source.modified_after",
    "source.modified_before",
    "source.temporary_names",
)


def _source(edit: Edit) -> Iterator[str]:
    if edit.touches("source.type"):
        yield "The source is another store. Files there have other addresses, so each of them counts as new."
        if not edit.moved:
            yield f"Rows that were loaded from the old store stay in {edit.new_table}."
    elif edit.touches("source.path"):
        yield (
            "The path changes and the memory stays: files that are loaded are not loaded again, and rows of the old "
            "path stay in the table."
        )
    if edit.touches("source.file_pattern"):
        yield (
            "Files that only the new pattern matches are loaded by the next run; what is loaded stays loaded, and "
            "files that wait already are loaded still."
        )
    if edit.touches(*_WANTED):
        yield (
            "Files that were skipped by the old rules are judged anew by the next run, which lists the whole source; "
            "what is loaded stays loaded, and files that wait already are loaded still."
        )
    if edit.touches("source.settle_seconds", "source.two_looks", "source.await_marker"):
        yield "When a file counts as whole changes with the next run."
    if edit.touches("source.discovery", "source.lateness_hours", "source.audit_hours"):
        yield "How the source is listed changes with the next run; no file is loaded twice by it."
    if edit.credentials == "removed":
        yield "The credentials are forgotten: a run can only read what needs none."
    elif edit.credentials or edit.touches("source.credential_id"):
        yield "Files are read with the new credentials from now on."


def _format(edit: Edit) -> Iterator[str]:
    if edit.touches("format.type", "format.options", "format.timezone"):
        yield "Files are read by the new format from the next run on; rows that are loaded stay as they are."
    if edit.touches("format.path_columns"):
        yield "Columns out of the path are filled for files not loaded yet; rows that are loaded stay as they are."
    if edit.touches("format.columns", "format.schema.hints"):
        yield (
            "The rules for columns hold for files not loaded yet; a column that the table has already keeps its name "
            "and its type."
        )
    if edit.touches("format.schema.inference", "format.schema.schema_json"):
        yield (
            "The table keeps the columns it has: the schema counts for a table that is made anew."
            if edit.table_made and not edit.moved
            else "The table will be made by the new schema."
        )
    if edit.touches("format.schema.evolution_mode", "format.schema.evolution_enabled"):
        yield "New columns are treated by the new mode from the next run on; columns that were added stay."
        if edit.old["format"]["schema"]["evolution_mode"] == "review":
            yield "Changes that wait for a decision are withdrawn by the next run, which loads their files by the mode."
    if edit.touches("format.bad_rows", "format.bad_rows_limit"):
        yield "Rows that do not fit are treated by the new rule from the next run on; loaded rows stay as they are."
    if edit.touches("format.overwritten", "format.dedupe_content"):
        yield "The rule for files that change is for versions not seen yet; what was skipped by the old one stays so."


def _rest(edit: Edit) -> Iterator[str]:
    if edit.touches("schedule.start", "schedule.backfill"):
        yield (
            "Files not loaded yet are judged by the new start, those that the old one has skipped among them; it takes "
            "nothing out of the table."
        )
    if any(
        field.startswith("schedule.") and not field.startswith(("schedule.start", "schedule.backfill"))
        for field in edit.fields
    ):
        yield "The schedule counts from now on; table and ledger stay as they are."
    if edit.touches("transform"):
        yield "The transformation is for rows not loaded yet."
    if edit.touches("limits.priority"):
        yield "The priority counts from now on, for a run that waits in the queue too."
    if edit.touches("limits.files_per_batch", "limits.bytes_per_batch", "limits.monthly_budget"):
        yield "Batches are cut by the new limits from the next run on."
    if edit.touches("quality"):
        yield "Checks and alerts go by the new rules from the next run on."


def _run(edit: Edit) -> Iterator[str]:
    if edit.run == Run.Status.RUNNING:
        if edit.fields:
            yield "The run in hand goes on with the configuration it started with."
        if edit.credentials:
            yield "The run in hand, too, reads with what credentials there are now, from its next step on."
    elif edit.run == Run.Status.QUEUED:
        yield "The run that waits in the queue starts with the new configuration."
