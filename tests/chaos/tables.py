"""The tables as they are, through a Spark session of the harness's own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pyspark.sql.connect.session import SparkSession

from tests.chaos.feeds import DATABASE, Line, Row, line
from tests.support.sessions import keep_shared_channel

keep_shared_channel()

_OURS = ("_source_file", "_file_modified_at", "_batch_id", "_loaded_at")


class Tables:
    def __init__(self, url: str) -> None:
        self._url = url
        self._spark: Any = None

    def renew(self) -> None:
        """The next question opens a new session: the server may be another one."""
        self._spark = None

    @property
    def spark(self) -> Any:
        if self._spark is None:
            self._spark = SparkSession.builder.remote(self._url).create()
            self._spark.conf.set("spark.sql.session.timeZone", "UTC")
        return self._spark

    def names(self) -> list[str]:
        return sorted(row["tableName"] for row in self.spark.sql(f"SHOW TABLES IN local.{DATABASE}").collect())

    def branches(self, table: str) -> list[str]:
        self._refresh(table)
        return sorted(
            row["name"] for row in self.spark.sql(f"SELECT name FROM local.{DATABASE}.{table}.refs").collect()
        )

    def lines(self, table: str, prefixes: dict[str, str]) -> Counter[Line]:
        """Every row, with the path of its file and what was rescued of it."""
        self._refresh(table)
        found: Counter[Line] = Counter()
        for row in self.spark.table(f"local.{DATABASE}.{table}").collect():
            values = row.asDict()
            address = values["_source_file"] or ""
            found[line(_path(address, prefixes), {name: values[name] for name in values if name not in _OURS})] += 1
        return found

    def quarantined(self, table: str, prefixes: dict[str, str]) -> Counter[tuple[str, str]]:
        """Malformed lines by file."""
        name = f"{table}__quarantine"
        if name not in self.names():
            return Counter()
        self._refresh(name)
        rows = self.spark.table(f"local.{DATABASE}.{name}").select("_source_file", "_raw").collect()
        return Counter((_path(row["_source_file"], prefixes), row["_raw"]) for row in rows)

    def append(self, table: str, row: Row) -> None:
        """A row of somebody else's."""
        self._refresh(table)
        name = f"local.{DATABASE}.{table}"
        values = {key: f"'{value}'" if isinstance(value, str) else str(value).lower() for key, value in row.items()}
        columns = ", ".join(values.get(field.name, "NULL") for field in self.spark.table(name).schema.fields)
        self.spark.sql(f"INSERT INTO {name} VALUES ({columns})")

    def _refresh(self, table: str) -> None:
        self.spark.sql(f"REFRESH TABLE local.{DATABASE}.{table}")


def _path(address: str, prefixes: dict[str, str]) -> str:
    """Feed and key; ``prefixes``: what addresses begin with, and whose they are then."""
    for prefix, feed in prefixes.items():
        if address.startswith(prefix):
            return f"{feed}/{address[len(prefix) :]}"
    return address
