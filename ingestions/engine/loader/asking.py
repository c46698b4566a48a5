"""A session asked in one round trip. ``spark.sql`` makes two of a question: one that says that it is a question, and
one that asks it; and of a command's answer, which the first one has brought already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyspark.sql.connect.proto as pb2
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.plan import SQL, CachedRelation


def rows(spark: Any, query: str) -> list[Any]:
    """The rows of a ``SELECT``."""
    return list(DataFrame.withPlan(SQL(query), spark).collect())


def answer(spark: Any, statement: str) -> list[dict[str, Any]]:
    """What a statement (``CALL``, ``SHOW``) says, which runs once: row by row, name → value."""
    command = SQL(statement).command(spark.client)
    _, properties = spark.client.execute_command(command)
    relation = properties["sql_command_result"]
    if relation.WhichOneof("rel_type") == "local_relation" and relation.local_relation.HasField("data"):
        return list(pa.ipc.open_stream(relation.local_relation.data).read_all().to_pylist())
    return [row.asDict() for row in DataFrame.withPlan(CachedRelation(relation), spark).collect()]


def configure(spark: Any, settings: Mapping[str, str]) -> None:
    """Sets all of them."""
    pairs = [pb2.KeyValue(key=key, value=value) for key, value in settings.items()]
    spark.client.config(pb2.ConfigRequest.Operation(set=pb2.ConfigRequest.Set(pairs=pairs)))
