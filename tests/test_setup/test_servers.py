"""The servers that the other tests rely on keep their promises."""

from __future__ import annotations

import psycopg
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from pyspark.sql.connect.session import SparkSession

from clusters.embedded import EmbeddedServer
from tests.support.moto_server import AsS3Reads
from tests.support.s3 import REGION, S3Server


@pytest.mark.cloud
def test_the_s3_server_takes_the_right_key_only(s3_server: S3Server) -> None:
    bucket = s3_server.create_bucket()
    s3_server.put(bucket, "a/b c+d%.csv", b"1,2\n")
    assert s3_server.s3.get_object(Bucket=bucket, Key="a/b c+d%.csv")["Body"].read() == b"1,2\n"
    for key, secret, code in ((s3_server.key, "wrong", "SignatureDoesNotMatch"), ("nobody", "x", "InvalidAccessKeyId")):
        with pytest.raises(ClientError) as caught:
            s3_server.aws("s3", key=key, secret=secret).list_objects_v2(Bucket=bucket)
        assert caught.value.response["Error"]["Code"] == code


@pytest.mark.cloud
def test_the_s3_server_holds_users_to_their_policy(s3_server: S3Server) -> None:
    bucket = s3_server.create_bucket()
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}],
    }
    key, secret = s3_server.create_user(policy)
    limited = s3_server.aws("s3", key=key, secret=secret)
    assert limited.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    with pytest.raises(ClientError, match="AccessDenied"):
        limited.put_object(Bucket=bucket, Key="x", Body=b"")


@pytest.mark.cloud
def test_the_s3_server_looks_at_all_that_was_signed(s3_server: S3Server) -> None:
    """botocore signs no User-Agent and writes queries in one way only; Hadoop 3.3's SDK for Java does otherwise."""
    s3_server.put(bucket := s3_server.create_bucket(), "a *.csv", b"1\n")
    url = f"{s3_server.url}/{bucket}?list-type=2&prefix=a+*"
    request = AWSRequest("GET", url, headers={"Host": f"127.0.0.1:{s3_server.port}", "User-Agent": "Hadoop"})
    AsS3Reads(Credentials(s3_server.key, s3_server.secret), "s3", REGION).add_auth(request)
    assert "user-agent" in request.headers["Authorization"]
    answer = URLLib3Session().send(request.prepare())
    assert (answer.status_code, b"<Key>a *.csv</Key>" in answer.content) == (200, True)
    request.headers.replace_header("User-Agent", "another")
    assert URLLib3Session().send(request.prepare()).status_code == 403
    request.headers.replace_header("User-Agent", "Hadoop")
    request.url = url.replace("prefix=a+*", "prefix=b")
    assert URLLib3Session().send(request.prepare()).status_code == 403


@pytest.mark.postgres
def test_the_postgresql_server_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("select version()").fetchone()
    assert row is not None
    assert row[0].startswith("PostgreSQL")


@pytest.mark.spark
def test_tables_outlive_a_killed_spark_on_the_same_port(spark_server: EmbeddedServer) -> None:
    spark = SparkSession.builder.remote(spark_server.url).create()
    spark.sql("CREATE NAMESPACE IF NOT EXISTS local.setup")
    spark.sql("CREATE OR REPLACE TABLE local.setup.kept USING iceberg AS SELECT 1 AS id")
    port = spark_server.port
    spark_server.kill()
    assert not spark_server.answers()
    spark_server.restart()
    assert spark_server.port == port
    spark = SparkSession.builder.remote(spark_server.url).create()
    assert [row.id for row in spark.sql("SELECT id FROM local.setup.kept").collect()] == [1]
