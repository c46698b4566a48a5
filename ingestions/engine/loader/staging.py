"""A table beside the destination that holds a batch's rows while they are on their way into it.

MERGE and a partition overwrite of several parts need all rows of the batch at once, the same at every look, and without
reading the source again. The table has an attempt's own name and is dropped together with the attempt's branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ingestions.engine.ledger import Entry
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.ddl import definitions
from ingestions.engine.loader.failures import is_missing_table
from ingestions.engine.loader.sql import identifier
from ingestions.engine.planner import in_parts

if TYPE_CHECKING:
    from ingestions.engine.loader.loader import SparkTableLoader


class StagingTable:
    """Of one attempt, named like its branch."""

    def __init__(self, loader: SparkTableLoader, attempt: str) -> None:
        self.loader = loader
        self.attempt = attempt
        where = loader.destination
        self.name = identifier(where.catalog, where.database, attempt)

    def fill(self, entries: Sequence[Entry], batch_id: str) -> tuple[Column, ...]:
        """Makes it and appends the rows of these files, part by part; the destination's columns.

        Without a distribution of its own each task writes its rows in the order in which it read them, so the place in
        the data files keeps the order of the rows in a source file.
        """
        columns = self.loader.columns()
        optional = [Column(column.name, column.type) for column in columns]
        self.loader.spark.sql(
            f"CREATE TABLE {self.name} ({definitions(optional)}) USING iceberg "
            "TBLPROPERTIES ('format-version' = '2', 'write.distribution-mode' = 'none')"
        )
        for part in in_parts(entries, self.loader.config.limits):
            rows, _ = self.loader.frame(part, batch_id)
            self.loader.writer(rows, self.name, batch_id, self.attempt, ()).append()
        self.loader.spark.sql(f"REFRESH TABLE {self.name}")
        return columns

    @property
    def exists(self) -> bool:
        try:
            _ = self.loader.spark.table(self.name).schema  # asking for it is what looks
        except Exception as error:
            if is_missing_table(error):
                return False
            raise
        return True

    def rows(self) -> Any:
        return self.loader.spark.table(self.name)

    def drop(self) -> None:
        """Its files go with it: nobody else ever knew of them."""
        self.loader.spark.sql(f"DROP TABLE IF EXISTS {self.name} PURGE")
