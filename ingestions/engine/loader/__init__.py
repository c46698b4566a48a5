"""The engine's only door to PySpark."""

from __future__ import annotations

from typing import Any

from ingestions.engine.config import IngestionConfig
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.loader.folders import Weigh
from ingestions.engine.sources.base import SparkAccess

__all__ = ["open_loader"]


def open_loader(
    spark: Any,
    *,
    session_id: str,
    config: IngestionConfig,
    access: SparkAccess,
    weigh: Weigh | None = None,
    maker: str = "",
) -> TableLoader:
    """A loader for the configuration's table over a leased Spark Connect session. ``weigh`` tells what listing a folder
    costs; without it files are read by their paths. ``maker`` is a word of the ingestion's own: a table that is made
    here carries it.

    The lease has set the source's access and the listing's tuning; what the conversions rely on is set here.
    """
    # PySpark is imported only where a session exists
    from ingestions.engine.loader import asking
    from ingestions.engine.loader.loader import SparkTableLoader

    asking.configure(
        spark,
        {
            "spark.sql.ansi.enabled": "false",
            "spark.sql.session.timeZone": config.format.timezone,
            "spark.sql.caseSensitive": "true",
            "spark.sql.legacy.javaCharsets": "true",
        },
    )
    return SparkTableLoader(spark, session_id=session_id, config=config, access=access, weigh=weigh, maker=maker)
