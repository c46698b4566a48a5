"""Looking into an ingestion's table, through its cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings

from autoloader.lib.errors import ConflictError
from clusters import sessions
from ingestions.engine import sources
from ingestions.engine.loader import open_loader
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.loader.sql import identifier, literal
from ingestions.engine.quarantine_name import quarantine_name
from ingestions.models import Batch, Ingestion, LedgerEntry

#: more names than a person reads in one statement.
BATCHES_IN_A_QUERY = 50


@contextmanager
def table_open(*, ingestion: Ingestion) -> Iterator[TableLoader]:
    """The table's loader in a leased session. It needs no access to the source: only the table is read."""
    config = ingestion.configuration()
    access = sources.no_access(config.source)
    with sessions.pool().lease(
        sessions.target_of(ingestion.cluster), timezone=config.format.timezone, fingerprint="tables"
    ) as lease:
        yield open_loader(
            lease.spark, session_id=lease.session_id, config=config, access=access, maker=str(ingestion.pk)
        )


def table_sample(*, ingestion: Ingestion, limit: int = 5) -> list[dict[str, object]]:
    """The first rows of the table, as the cluster gives them. ConflictError while there is no table."""
    with table_open(ingestion=ingestion) as loader:
        if loader.state() is None:
            raise ConflictError(
                "no_table", f"The table {ingestion.destination_key} is not there yet.", "Run the ingestion first."
            )
        return loader.sample_rows(min(limit, settings.SAMPLE_ROWS_LIMIT))


def query_of_table(ingestion: Ingestion) -> str:
    """SQL that a person can paste into their own client."""
    destination = ingestion.configuration().destination
    return f"SELECT * FROM {identifier(destination.catalog, destination.database, destination.table)}"  # noqa: S608  # quoted, and shown only


def query_of_batches(ingestion: Ingestion, batches: Sequence[Batch]) -> str:
    """SQL that shows the rows of these batches; empty where none of them stands in the table that the ingestion has
    now. Rows that were replaced or deleted since are not among them.
    """
    here = [each for each in batches if each.snapshot_id is not None]
    here = [each for each in here if each.destination_key == ingestion.destination_key][:BATCHES_IN_A_QUERY]
    if not here:
        return ""
    names = ", ".join(literal(str(each.pk)) for each in here)
    return f"{query_of_table(ingestion)}\nWHERE _batch_id IN ({names})"


def quarantine_of(ingestion: Ingestion) -> str:
    """The name of the table for malformed rows, as people read it."""
    destination = ingestion.configuration().destination
    return f"{destination.catalog}.{destination.database}.{quarantine_name(destination.table)}"


def query_of_quarantine(file: LedgerEntry) -> str:
    """SQL that shows the malformed rows of this version of the file; empty where none are in quarantine."""
    if not file.quarantined_rows or file.quarantine_batch is None:
        return ""
    if file.destination_key != file.ingestion.destination_key:
        return ""
    to = file.ingestion.configuration().destination
    name = identifier(to.catalog, to.database, quarantine_name(to.table))
    conditions = f"_source_file = {literal(file.address)} AND _batch_id = {literal(str(file.quarantine_batch))}"
    return f"SELECT * FROM {name}\nWHERE {conditions}\nORDER BY _line"  # noqa: S608  # quoted, and shown only


def query_of_file(file: LedgerEntry) -> str:
    """SQL that shows the rows of this version of the file; empty where none of its rows stands in the table that the
    ingestion has now."""
    if not file.rows or file.batch_id is None or file.destination_key != file.ingestion.destination_key:
        return ""
    conditions = f"_source_file = {literal(file.address)} AND _batch_id = {literal(str(file.batch_id))}"
    return f"{query_of_table(file.ingestion)}\nWHERE {conditions}"
