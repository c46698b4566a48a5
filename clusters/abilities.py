"""What a cluster can do: small questions over a Spark Connect session. ``spark`` is such a session."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from autoloader.lib.spark_formats import BUILT_IN, NOWHERE, is_missing

_ICEBERG_CATALOG = re.compile(r"spark\.sql\.catalog\.([^.]+)")


class StepFailed(Exception):
    """A step of the connection test failed, for a reason that is ours to word."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail, self.hint = detail, hint


def iceberg_catalogs(spark: Any) -> list[str]:
    """Catalogs whose class is Iceberg's, by name; the session catalog only where it is one of Iceberg's."""
    found = set()
    for row in spark.sql("SET").collect():
        name = _ICEBERG_CATALOG.fullmatch(row["key"])
        if name and "iceberg" in str(row["value"]).lower():
            found.add(name.group(1))
    return sorted(found)


def formats(spark: Any) -> list[str]:
    """Formats that the cluster has a reader for; nothing is read."""
    found = list(BUILT_IN)
    for name in ("avro", "xml"):
        try:
            # xml wants its row tag before it looks at anything else
            reader = spark.read.format(name).schema("a int").option("rowTag", "r")
            _ = reader.load(NOWHERE).schema
        except Exception as error:
            if is_missing(error):
                continue
        found.append(name)
    return found


def latency(spark: Any) -> int:
    """Milliseconds of a trivial statement, the second time."""
    spark.sql("SELECT 1").collect()
    began = time.monotonic()
    spark.sql("SELECT 1").collect()
    return round((time.monotonic() - began) * 1000)


def extensions(spark: Any, catalog: str) -> None:
    """A statement that only Iceberg's grammar knows, about a table that is not there."""
    name = f"{quoted(catalog)}.`autoloader_probe_{secrets.token_hex(4)}`.`none`"
    try:
        spark.sql(f"ALTER TABLE {name} CREATE BRANCH b").collect()
    except Exception as error:
        if "PARSE_SYNTAX_ERROR" in str(error) or "ParseException" in str(error):
            raise StepFailed(
                "Spark does not understand branches of a table.",
                "Add org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions to spark.sql.extensions.",
            ) from None


def create(spark: Any, name: str) -> None:
    """A namespace and a table with a branch that is published; dropped again whatever comes of it."""
    catalog = quoted(name)
    namespace = f"autoloader_probe_{secrets.token_hex(4)}"
    table = f"{catalog}.`{namespace}`.`t`"
    made = False
    try:
        spark.sql(f"CREATE NAMESPACE {catalog}.`{namespace}`").collect()
        made = True
        spark.sql(f"CREATE TABLE {table} (a bigint) USING iceberg").collect()
        spark.sql(f"ALTER TABLE {table} CREATE BRANCH b").collect()
        spark.sql(f"INSERT INTO {table}.branch_b VALUES (1)").collect()  # noqa: S608  # names of our own making
        spark.sql(f"CALL {catalog}.system.fast_forward('{namespace}.t', 'main', 'b')").collect()
        spark.sql(f"REFRESH TABLE {table}").collect()
        if spark.table(table).count() != 1:
            raise StepFailed("A row that was published is not in the table.", "Look at the cluster's log.")
    finally:
        if made:
            spark.sql(f"DROP TABLE IF EXISTS {table} PURGE").collect()
            spark.sql(f"DROP NAMESPACE IF EXISTS {catalog}.`{namespace}`").collect()


def quoted(name: str) -> str:
    """An identifier of SQL, whatever it contains."""
    return "`" + name.replace("`", "``") + "`"
