"""Formats that not every Spark has a reader for. Nothing here imports PySpark."""

from __future__ import annotations

from autoloader.lib.spark_errors import short_message

#: formats that come with every Spark, in its own words.
BUILT_IN = ("csv", "json", "parquet", "orc", "text", "binaryFile")
#: a place that has no files: a reader that is asked for it shows that it is there.
NOWHERE = "file:///autoloader-reads-nothing-here"


def jars(spark_version: str) -> dict[str, str]:
    """Formats that need a jar on some clusters, and its coordinate for this version of Spark."""
    old = spark_version.startswith("3.")
    added = {"avro": f"org.apache.spark:spark-avro_{'2.12' if old else '2.13'}:{spark_version}"}
    if old:  # built in from 4.0 on
        added["xml"] = "com.databricks:spark-xml_2.12:0.18.0"
    return added


def is_missing(error: BaseException) -> bool:
    """Whether this error of Spark's says that it has no reader for a format."""
    return "DATA_SOURCE_NOT_FOUND" in str(error) or "Failed to find" in short_message(error)


def lacking(format_: str, spark_version: str) -> tuple[str, str]:
    """Message and hint for a format that a cluster cannot read."""
    jar = jars(spark_version).get(format_)
    return (
        f"The cluster (Spark {spark_version}) has no reader for the format {format_}.",
        f"Add {jar} to the cluster's jars (spark.jars.packages) and test the connection again."
        if jar
        else "Choose another format or another cluster.",
    )
