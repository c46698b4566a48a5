"""What a good user would write by hand: a Spark Connect script with an explicit schema, tuned settings, one read and
one append. It remembers nothing: which files are new, what became of each of them, and what happened when it broke off
is somebody else's business.

``python -m benchmarks.by_hand sc://HOST:PORT s3://BUCKET/PREFIX CATALOG.DATABASE.TABLE`` runs it, with the keys and the
endpoint of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import boto3

#: the columns of ``benchmarks.feed``.
SCHEMA = "id bigint, name string, amount double, at timestamp, active boolean"
TUNED = {
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.files.openCostInBytes": "65536",
    "spark.sql.session.timeZone": "UTC",
}
#: how each format is read; CSV as most programs write it, with its quotes doubled.
OPTIONS: Mapping[str, Mapping[str, str]] = {"json": {}, "csv": {"header": "true", "escape": '"'}, "parquet": {}}


def connect(url: str, storage: Mapping[str, str]) -> Any:
    """``storage``: ``aws_access_key_id``, ``aws_secret_access_key``, ``endpoint_url``."""
    from pyspark.sql.connect.session import SparkSession

    spark = SparkSession.builder.remote(url).create()
    settings = {
        **TUNED,
        "fs.s3a.endpoint": storage["endpoint_url"],
        "fs.s3a.endpoint.region": "us-east-1",
        "fs.s3a.access.key": storage["aws_access_key_id"],
        "fs.s3a.secret.key": storage["aws_secret_access_key"],
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
        "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    return spark


def create(spark: Any, table: str, schema: str = SCHEMA) -> None:
    """The table, made once."""
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {table.rpartition('.')[0]}")
    spark.sql(f"CREATE TABLE IF NOT EXISTS {table} ({schema}) USING iceberg")


def load_folder(spark: Any, path: str, table: str, kind: str = "json", schema: str = SCHEMA) -> None:
    """All of a folder, of the format ``kind``. The second time it loads everything again."""
    spark.read.schema(schema).options(**OPTIONS[kind]).format(kind).load(path).writeTo(table).append()


def load_listed(spark: Any, client: Any, bucket: str, prefix: str, table: str) -> None:
    """The files below a prefix by name, which is what a script does that is to leave out some of them."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    paths = [f"s3a://{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", ())]
    spark.read.schema(SCHEMA).json(paths).writeTo(table).append()


def main(url: str, source: str, table: str) -> None:
    storage = {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
    }
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    spark = connect(url, storage)
    create(spark, table)
    load_listed(spark, boto3.client("s3"), bucket, prefix, table)


if __name__ == "__main__":
    main(*sys.argv[1:])
