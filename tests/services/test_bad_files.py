"""Bad files of every kind in one batch, beside good ones: each is set aside with its reason, the others load."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clusters.embedded import EmbeddedServer
from ingestions.engine.loader.loader import SparkTableLoader
from ingestions.models import Attempt, LedgerEntry, RunError
from ingestions.services.files import file_retry
from tests.services.local_feed import LocalFeed
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]


@pytest.fixture
def new_feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return lambda **config: LocalFeed(tmp_path, spark_server.url, **config)


def long_csv(rows: int = 12_000) -> bytes:
    """Longer than the first bytes that are looked at, packed or not."""
    numbers = random.Random(1)
    return ("id,x\n" + "".join(f"{at},{numbers.random()}\n" for at in range(rows))).encode()


def long_json(rows: int = 8_000) -> bytes:
    numbers = random.Random(2)
    return "".join(json.dumps({"id": at, "x": str(numbers.random())}) + "\n" for at in range(rows)).encode()


def parquet(rows: int) -> bytes:
    numbers = random.Random(3)
    packed = io.BytesIO()
    table = pa.table({"id": pa.array(range(rows)), "x": pa.array([str(numbers.random()) for _ in range(rows)])})
    pq.write_table(table, packed)
    return packed.getvalue()


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(2_000) + content[middle + 2_000 :]


CSV: dict[str, tuple[bytes, str, str]] = {
    "corrupt.csv.gz": (damaged(gzip.compress(long_csv())), "FAILED", "file_unreadable"),
    "truncated.csv.gz": (gzip.compress(long_csv())[:-9_000], "FAILED", "file_unreadable"),
    "short.csv.gz": (gzip.compress(b"id,x\n1,2\n")[:-4], "FAILED", "gzip_damaged"),
    "latin.csv": ("id,x\n1,é\n".encode("latin-1"), "FAILED", "encoding_mismatch"),
    "late latin.csv": (long_csv() + "7,é\n".encode("latin-1"), "FAILED", "encoding_mismatch"),
    "page.csv": (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "FAILED", "looks_like_html"),
    "conflict.csv": (b"id,x\n1,a\n<<<<<<< HEAD\n2,b\n=======\n2,c\n>>>>>>> other\n", "FAILED", "merge_conflict"),
    "empty.csv": (b"", "SKIPPED", ""),
    "header.csv": (b"id,x\r\n", "SKIPPED", "no_rows"),
    "_hidden.csv": (b"id,x\n1,2\n", "SKIPPED", ""),
    ".dot.csv": (b"id,x\n1,2\n", "SKIPPED", ""),
    "co:lon.csv": (b"id,x\n1,2\n", "FAILED", "unreadable_name"),
}
JSON: dict[str, tuple[bytes, str, str]] = {
    "corrupt.json.gz": (damaged(gzip.compress(long_json())), "FAILED", "file_unreadable"),
    "truncated.json.gz": (gzip.compress(long_json())[:-9_000], "FAILED", "file_unreadable"),
    "latin.json": ('{"id": 1, "x": "é"}\n'.encode("latin-1"), "FAILED", "encoding_mismatch"),
    "late latin.json": (long_json() + '{"id": 1, "x": "é"}\n'.encode("latin-1"), "FAILED", "encoding_mismatch"),
    "page.json": (b"<html><body>502 Bad Gateway</body></html>", "FAILED", "looks_like_html"),
    "cut.json": (b'{"id": 1, "x": "a"}\n{"id": 2, "x": "b', "FAILED", "json_cut"),
    "late cut.json": (long_json() + b'{"id": 2, "x": "b', "FAILED", "json_cut"),
    "late cut, not packed.json.gz": (long_json() + b'{"id": 2, "x": "b', "FAILED", "json_cut"),
    "cut document.json": (b'[\n {"id": 1, "x": "a"},\n {"id": 2,', "FAILED", "json_cut"),
    "conflict.json": (b'{"id": 1}\n<<<<<<< HEAD\n{"id": 2}\n=======\n>>>>>>> x\n', "FAILED", "merge_conflict"),
    "empty.json": (b"", "SKIPPED", ""),
    "_hidden.json": (b'{"id": 1}\n', "SKIPPED", ""),
}
PARQUET: dict[str, tuple[bytes, str, str]] = {
    "truncated.parquet": (parquet(20_000)[:-100], "FAILED", "not_parquet"),
    "cut.parquet": (parquet(20_000)[:50_000], "FAILED", "not_parquet"),
    "corrupt.parquet": (damaged(parquet(20_000)), "FAILED", "file_unreadable"),
    "page.parquet": (b"<html><body>502 Bad Gateway</body></html>", "FAILED", "not_parquet"),
    "empty.parquet": (b"", "SKIPPED", ""),
    "_hidden.parquet": (parquet(3), "SKIPPED", ""),
}
GOOD = {"csv": b"id,x\n1,a\n", "json": b'{"id": 1, "x": "a"}\n', "parquet": parquet(1)}
NAMES = ["a%20b", "a#b", "a?b", "a*b", "a[1]", "a{b,c}", "a\\b", "new\nline", "söñ ✓", "plus+", "a&b=c", "quo'te"]


@pytest.mark.parametrize(("kind", "bad"), [("csv", CSV), ("json", JSON), ("parquet", PARQUET)])
def test_bad_files_of_every_kind_are_set_aside_and_the_rest_of_their_batch_loads(
    new_feed: NewFeed, kind: str, bad: dict[str, tuple[bytes, str, str]]
) -> None:
    options = {} if kind == "parquet" else {"encoding": "UTF-8"}
    feed = new_feed(format={"type": kind, "options": options, "schema": {"hints": {"id": "bigint", "x": "string"}}})
    for name, (content, _, _) in bad.items():
        feed.write(name, content)
    for name in NAMES:
        feed.write(f"{name}.{kind}", GOOD[kind])
    run = feed.run()
    rows = {entry.address.rsplit("/", 1)[-1]: entry for entry in LedgerEntry.objects.filter(ingestion=feed.ingestion)}
    found = {name: (rows[name].state, rows[name].error_code) for name in bad}
    assert found == {name: (state, code) for name, (_, state, code) in bad.items()}
    assert all(rows[name].reason for name in bad)
    assert {name: rows[f"{name}.{kind}"].state for name in NAMES} == dict.fromkeys(NAMES, "LOADED")
    assert (run.status, run.files_loaded, run.rows_done) == ("partial", len(NAMES), len(NAMES))
    assert RunError.objects.filter(run=run).count() == sum(state == "FAILED" for _, state, _ in bad.values())
    assert feed.verify().ok
    assert Attempt.objects.filter(batch__run=run).count() <= 5
    if kind == "csv":
        assert "line 12,002" in rows["late latin.csv"].reason
        assert "line 3" in rows["conflict.csv"].reason
    mended = next(name for name, (_, _, code) in bad.items() if code == "file_unreadable")
    feed.write(mended, gzip.compress(GOOD[kind]) if mended.endswith(".gz") else GOOD[kind])
    assert feed.run().files_loaded == 1
    assert feed.states()[mended] == "LOADED"
    assert feed.verify().ok


def test_many_corrupt_files_cost_few_attempts(new_feed: NewFeed) -> None:
    """Twenty of a hundred: the first costs an attempt, the second another, and with it all are found."""
    feed = new_feed()
    broken = damaged(gzip.compress(long_csv(4_000)))
    for at in range(100):
        feed.write(f"{at:03}.csv.gz", broken if at % 5 == 2 else gzip.compress(f"id,x\n{at},a\n".encode()))
    run = feed.run()
    assert (run.status, run.files_loaded, run.files_failed, run.rows_done) == ("partial", 80, 20, 80)
    assert Attempt.objects.filter(batch__run=run).count() <= 3
    assert feed.verify().ok


def test_a_character_that_stands_for_unreadable_bytes_is_loaded_where_the_file_has_it(new_feed: NewFeed) -> None:
    feed = new_feed()
    feed.write("a.csv", "id,x\n1,was \ufffd before\n2,b\n")
    feed.write("b.csv", "id,x\n3,c\n")
    run = feed.run()
    assert (run.status, run.rows_done) == ("success", 3)
    assert feed.rows("x") == [("b",), ("c",), ("was \ufffd before",)]


def test_bytes_of_another_encoding_are_told_in_any_of_many_columns(new_feed: NewFeed) -> None:
    names = [f"c{at}" for at in range(250)]
    feed = new_feed(format={"options": {"encoding": "UTF-8"}, "schema": {"hints": dict.fromkeys(names, "string")}})
    header, row = ",".join(names), ",".join("a" for _ in names)
    feed.write("good.csv", f"{header}\n{row}\n")
    late = f"{header}\n" + f"{row}\n" * 200 + row[:-1]
    feed.write("bad.csv", late.encode() + b"\xe9\n")
    run = feed.run()
    assert (run.status, run.rows_done) == ("partial", 1)
    entry = LedgerEntry.objects.get(ingestion=feed.ingestion, address__endswith="bad.csv")
    assert (entry.state, entry.error_code) == ("FAILED", "encoding_mismatch")
    assert "line 202" in entry.reason


@pytest.mark.parametrize("overwritten", ["ignore", "append"])
def test_a_file_that_is_overwritten_between_listing_and_reading_is_loaded_once_under_its_new_version(
    new_feed: NewFeed, monkeypatch: pytest.MonkeyPatch, overwritten: str
) -> None:
    feed = new_feed(format={"overwritten": overwritten})
    feed.write("a.csv", "id,x\n1,old\n")
    feed.write("b.csv", "id,x\n2,b\n")
    gone = feed.write("c.csv", "id,x\n3,c\n")
    stage = SparkTableLoader.stage
    done: list[Path] = []

    def late(self: SparkTableLoader, *args: Any, **kwargs: Any) -> Any:
        if not done:
            done.append(feed.write("a.csv", "id,x\n1,new\n4,new\n"))
            gone.unlink()
        return stage(self, *args, **kwargs)

    monkeypatch.setattr(SparkTableLoader, "stage", late)
    run = feed.run()
    assert feed.rows("id", "x") == [(1, "new"), (2, "b"), (4, "new")]
    entries = LedgerEntry.objects.filter(ingestion=feed.ingestion, address__endswith="a.csv").order_by("id")
    assert [(entry.state, entry.rows) for entry in entries] == [("SKIPPED", None), ("LOADED", 2)]
    stat = os.stat(feed.folder / "a.csv")
    assert entries[1].version == f"{stat.st_mtime_ns}-{stat.st_size}"
    assert (run.status, feed.states()["c.csv"]) == ("partial", "FAILED")
    assert feed.verify().ok
    assert feed.run().files_loaded == 0
    feed.write("c.csv", "id,x\n3,c\n")
    assert feed.run().files_loaded == 1
    assert feed.verify().ok


def test_a_retried_file_is_looked_at_anew(new_feed: NewFeed) -> None:
    feed = new_feed()
    feed.write("a.csv", "id,x\n1,a\n")
    feed.write("co:lon.csv", "id,x\n2,b\n")
    assert feed.run().status == "partial"
    entry = LedgerEntry.objects.get(ingestion=feed.ingestion, address__endswith="co:lon.csv")
    file_retry(file=entry)
    assert feed.run().files_failed == 1
    assert feed.states()["co:lon.csv"] == "FAILED"


@pytest.mark.cloud
def test_a_file_that_the_store_refuses_since_it_was_listed_is_set_aside(
    spark_server: EmbeddedServer, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all of them are refused, that is no file's fault: nothing is set aside, and the run fails."""
    bucket = s3_server.create_bucket()
    for name in ("a.csv", "b.csv", "c.csv"):
        s3_server.put(bucket, f"in/{name}", f"id\n{ord(name[0])}\n".encode())
    source = {"type": "s3", "path": f"s3://{bucket}/in/", "credentials": s3_server.credentials()}
    feed = LocalFeed(tmp_path, spark_server.url, source=source)
    stage = SparkTableLoader.stage
    refused = [f"arn:aws:s3:::{bucket}/in/*"]

    def late(self: SparkTableLoader, *args: Any, **kwargs: Any) -> Any:
        policy = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": refused}
        s3_server.s3.put_bucket_policy(
            Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        )
        return stage(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(SparkTableLoader, "stage", late)
        assert feed.run().status == "failed"
        told = LedgerEntry.objects.filter(ingestion=feed.ingestion).values_list("state", "error_code", "reason")
        assert set(told) == {("DISCOVERED", "", "")}
        s3_server.s3.delete_bucket_policy(Bucket=bucket)
        refused[:] = [f"arn:aws:s3:::{bucket}/in/b.csv"]
        assert feed.run().status == "partial"
    assert feed.states() == {"a.csv": "LOADED", "b.csv": "FAILED", "c.csv": "LOADED"}
    entry = LedgerEntry.objects.get(ingestion=feed.ingestion, address__endswith="b.csv")
    assert entry.error_code == "file_access_denied"
    s3_server.s3.delete_bucket_policy(Bucket=bucket)
    file_retry(file=entry)
    assert feed.run().files_loaded == 1
    assert feed.verify().ok
