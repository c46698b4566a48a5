"""From a bucket to a table, through the services and Spark: keys of any name, two stores with one bucket name, a key
that is refused."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User

from autoloader.lib.errors import AccessError, AutoloaderError
from clusters import sessions
from clusters.embedded import EmbeddedServer
from clusters.models import Cluster
from clusters.sessions import Target, pool
from ingestions.engine import config
from ingestions.engine.loader.folders import Folders
from ingestions.engine.sources import open_source
from ingestions.engine.sources.base import SparkAccess
from ingestions.models import Ingestion, LedgerEntry, Run
from ingestions.services.execution import run_to_end
from ingestions.services.ingestions import ingestion_create
from ingestions.services.ledger import ledger_verify
from ingestions.services.runs import run_start
from ingestions.services.table import table_sample
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.cloud, pytest.mark.spark, pytest.mark.django_db(transaction=True)]

KEYS = ["in/a b.csv", "in/a+b.csv", "in/100%.csv", "in/%20.csv", "in/ünï-日本.csv", "in/[1].csv", "in/x:y.csv",
        "in/q?.csv", "in/k=1/#.csv", "in/{a,b}.csv", "in/it's.csv", "in/back\\slash.csv", "in/star*.csv"]  # fmt: skip


@pytest.fixture
def cluster(spark_server: EmbeddedServer) -> Cluster:
    return Cluster.objects.create(
        name="embedded", url=spark_server.url, price_dbu_hour=0.4, price_storage_gb_month=0.02, default_catalog="local"
    )


@pytest.fixture
def other_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


def make(cluster: Cluster, credentials: dict[str, Any], bucket: str, table: str, **source: Any) -> Ingestion:
    owner, _ = User.objects.get_or_create(username="owner")
    config = {
        "name": table,
        "cluster_id": str(cluster.pk),
        "source": {"type": "s3", "path": f"s3://{bucket}/in/", "credentials": credentials, **source},
        "format": {"type": "csv"},
        "destination": {"catalog": "local", "database": "from_s3", "table": table},
    }
    cluster.owner = owner
    cluster.save()
    return ingestion_create(owner=owner, config=config)[0]


def load(ingestion: Ingestion) -> Run:
    return run_to_end(run_id=str(run_start(ingestion=ingestion).pk), timeout=120)


def test_keys_of_any_name_are_loaded_once_and_proved(s3_server: S3Server, cluster: Cluster) -> None:
    bucket = s3_server.create_bucket()
    for at, key in enumerate(KEYS):
        s3_server.put(bucket, key, f"id,name\n{at},x\n{at + 100},y\n".encode())
    s3_server.put(bucket, "in/zipped.csv.gz", gzip.compress(b"id,name\n900,z\n"))
    ingestion = make(cluster, s3_server.credentials(), bucket, "odd_keys")
    run = load(ingestion)
    assert (run.status, run.files_loaded, run.rows_done) == ("success", len(KEYS) + 1, 2 * len(KEYS) + 1)
    assert set(LedgerEntry.objects.values_list("address", flat=True)) == {
        f"s3://{bucket}/{key}" for key in [*KEYS, "in/zipped.csv.gz"]
    }
    assert ledger_verify(ingestion=ingestion).ok
    assert load(ingestion).files_loaded == 0
    s3_server.put(bucket, "in/new.csv", b"name,id\nlate,1000\n")
    run = load(ingestion)
    assert (run.files_loaded, run.rows_done) == (1, 1)
    assert ledger_verify(ingestion=ingestion).ok


def test_content_counts_whatever_the_key_says_of_its_compression(s3_server: S3Server, cluster: Cluster) -> None:
    bucket = s3_server.create_bucket()
    for at, key in enumerate(KEYS):
        s3_server.put(bucket, key, gzip.compress(f"id,name\n{at},x\n".encode()))
        s3_server.put(bucket, f"{key}.gz", f"id,name\n{at + 100},y\n".encode())
    ingestion = make(cluster, s3_server.credentials(), bucket, "packed_keys")
    run = load(ingestion)
    assert (run.status, run.files_loaded, run.rows_done) == ("success", 2 * len(KEYS), 2 * len(KEYS))
    assert ledger_verify(ingestion=ingestion).ok


def test_a_full_folder_is_listed_and_not_each_file_whatever_else_lies_in_it(
    s3_server: S3Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[list[str]] = []
    choose = Folders.of

    def note(self: Folders, addresses: list[str]) -> list[str]:
        chosen.append(choose(self, addresses))
        return chosen[-1]

    monkeypatch.setattr(Folders, "of", note)
    bucket = s3_server.create_bucket()
    keys = [*KEYS, *(f"in/f{number}.csv" for number in range(60))]
    for at, key in enumerate(keys):
        s3_server.put(bucket, key, f"id,name\n{at},x\n".encode())
    others = ("in/_hidden.csv", "in/.hidden.csv", "in//nameless.csv", "in/other.txt", "in/a:b.txt", "in/_d/x.csv")
    for key in others:
        s3_server.put(bucket, key, b"id,name\n-1,other\n")
    run = load(make(cluster, s3_server.credentials(), bucket, "full_folder", file_pattern="*.csv"))
    assert (run.status, run.files_loaded, run.rows_done) == ("success", len(keys), len(keys))
    assert [f"s3://{bucket}/in/"] in chosen
    assert ledger_verify(ingestion=run.ingestion).ok


def test_two_stores_with_one_bucket_name_do_not_mix(
    s3_server: S3Server, other_server: S3Server, cluster: Cluster
) -> None:
    """Hadoop knows open stores by bucket name only: without an alias the second would read the first's file."""
    tables = {}
    for number, server in enumerate((s3_server, other_server), start=1):
        bucket = server.create_bucket("same-name")
        server.put(bucket, "in/a.csv", f"id\n{number}\n".encode())
        ingestion = make(cluster, server.credentials(), bucket, f"store_{number}")
        assert load(ingestion).status == "success"
        tables[number] = [row["id"] for row in table_sample(ingestion=ingestion)]
        assert [row["_source_file"] for row in table_sample(ingestion=ingestion)] == ["s3://same-name/in/a.csv"]
    assert tables == {1: [1], 2: [2]}


def test_a_refused_key_is_told_and_stands_nowhere(s3_server: S3Server, cluster: Cluster) -> None:
    bucket = s3_server.create_bucket()
    s3_server.put(bucket, "in/a.csv", b"id\n1\n")
    ingestion = make(
        cluster, {**s3_server.credentials(), "aws_secret_access_key": "wrong-but-secret"}, bucket, "refused"
    )
    run = load(ingestion)
    assert run.status == "failed"
    told = f"{run.error_code} {run.error_message} {run.error_hint} {list(run.errors.values())} {run.config}"
    assert "wrong-but-secret" not in told
    assert run.error_hint
    assert s3_server.key not in told


def test_what_one_key_opened_another_key_does_not_read(s3_server: S3Server, spark_server: EmbeddedServer) -> None:
    """Hadoop keeps an open store for whoever comes next, whatever the key: seen to let wrong keys read, and to refuse
    right ones after a wrong one."""
    bucket = s3_server.create_bucket()
    s3_server.put(bucket, "in/a.csv", b"id\n1\n")

    def access(**changes: str) -> SparkAccess:
        source = config.Source.model_validate({"type": "s3", "path": f"s3://{bucket}/in/"})
        keys = config.Credentials.model_validate({**s3_server.credentials(), **changes})
        opened = open_source(source, keys, local_roots=(), allowed_networks=("127.0.0.0/8",), alias_key="k")
        with closing(opened):
            return opened.spark_access()

    def read(using: SparkAccess) -> int:
        with pool().lease(Target(spark_server.url), conf=using.conf, fingerprint=using.fingerprint) as lease:
            return int(lease.spark.read.option("header", "true").csv(f"{using.scheme}://{bucket}/in/a.csv").count())

    right, wrong = access(), access(aws_secret_access_key="wrong-but-secret")
    for _ in range(2):
        assert read(right) == 1
        with pytest.raises(AutoloaderError) as refused:
            read(wrong)
        assert isinstance(refused.value, AccessError), refused.value
        assert "wrong-but-secret" not in str(refused.value)


def test_sessions_and_logs_of_spark_hold_no_key(s3_server: S3Server, cluster: Cluster, spark_server: Any) -> None:
    bucket = s3_server.create_bucket()
    s3_server.put(bucket, "in/a.csv", b"id\n1\n")
    load(make(cluster, s3_server.credentials(), bucket, "quiet"))
    pool().close()
    sessions._start_anew()  # a closed pool stays closed, and other tests of this process need one
    assert s3_server.secret not in spark_server.log.read_text()
    assert s3_server.key not in spark_server.log.read_text()


def test_a_bucket_that_is_not_there(s3_server: S3Server, cluster: Cluster) -> None:
    run = load(make(cluster, s3_server.credentials(), "no-such-bucket-anywhere", "gone"))
    assert run.status == "failed"
    assert "no-such-bucket-anywhere" in run.error_message


def test_nothing_that_matches_is_a_success_with_a_hint(s3_server: S3Server, cluster: Cluster) -> None:
    bucket = s3_server.create_bucket()
    s3_server.put(bucket, "in/a.CSV", b"id\n1\n")
    run = load(make(cluster, s3_server.credentials(), bucket, "nothing", file_pattern="*.csv"))
    assert (run.status, run.files_loaded) == ("success", 0)
    assert "Upper and lower case count" in run.hint
