"""Looking before loading: what is shown is what is loaded, and nothing changes by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoloader.lib.errors import ConfigError
from clusters.embedded import EmbeddedServer
from ingestions.models import Batch, Credential, Ingestion, LedgerEntry, Run, SchemaVersion
from ingestions.services import looking
from tests.services.local_feed import LocalFeed

pytestmark = [pytest.mark.spark, pytest.mark.django_db(transaction=True)]
NewFeed = Callable[..., LocalFeed]
CLUSTER_FREE = (Ingestion, Run, Batch, LedgerEntry, SchemaVersion, Credential)


@pytest.fixture
def feed(spark_server: EmbeddedServer, tmp_path: Path, settings: Any) -> NewFeed:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    return lambda **config: LocalFeed(tmp_path, spark_server.url, **config)


def preview(feed: LocalFeed) -> dict[str, Any]:
    return looking.preview(subject=looking.subject_posted(body=feed.body, user=feed.owner))


def counts() -> list[int]:
    return [model._default_manager.count() for model in CLUSTER_FREE]


def test_a_preview_shows_the_rows_that_will_be_loaded_and_saves_nothing(feed: NewFeed) -> None:
    orders = feed()
    orders.write(
        "a.csv", "id,name,amount,note\n1,ann,1.50,\n2,bob,many,x\n" + "".join(f"{i},c,2.5,\n" for i in range(3, 300))
    )
    orders.write("b.csv", "id,name,amount,extra\n900,zoe,9.99,true\n")
    before = counts()
    seen = preview(orders)
    assert counts() == before
    columns = {column["name"]: column for column in seen["schema"]}
    assert {name: column["data_type"] for name, column in columns.items()} == {
        "id": "bigint", "name": "string", "amount": "double", "note": "string", "extra": "boolean",
    }  # fmt: skip
    assert columns["id"]["null_fraction"] == 0
    assert columns["amount"]["rescued"] == 1
    assert columns["extra"]["null_fraction"] == pytest.approx(299 / 300, abs=0.001)
    assert columns["extra"]["examples"] == [] or columns["extra"]["examples"] == ["true"]
    assert all(column["is_new"] for column in columns.values())
    assert (seen["file_count"], seen["estimated_records"], seen["rescued_records"]) == (2, 300, 1)
    assert any("b.csv has extra beside the usual columns and lacks note" in said or "a.csv" in said
               for said in seen["inconsistencies"])  # fmt: skip
    shown = [json.loads(row) for row in seen["sample_data"]]
    assert {"id": 1, "name": "ann", "amount": 1.5}.items() <= shown[0].items()
    assert shown[0]["_source_file"].startswith("file://")
    assert seen["ddl"][1].startswith("CREATE TABLE IF NOT EXISTS `local`.`feeds`.")
    run = orders.run()
    assert run.rows_done == 300
    loaded = {row[0]: row for row in orders.rows("id", "name", "amount")}
    for row in shown:
        assert loaded[row["id"]] == (row["id"], row["name"], row["amount"])


def test_a_preview_into_a_table_shows_what_is_new_and_the_alter(feed: NewFeed) -> None:
    orders = feed()
    orders.write("a.csv", "id\n1\n")
    orders.run()
    orders.write("a.csv", "id,more\n1,2024-01-01\n")
    seen = preview(orders)
    assert [(c["name"], c["data_type"], c["is_new"]) for c in seen["schema"]] == [
        ("id", "bigint", False), ("more", "date", True),
    ]  # fmt: skip
    assert seen["table_exists"]
    assert seen["ddl"] == [f"ALTER TABLE `local`.`feeds`.`{orders.table}` ADD COLUMNS (`more` date)"]


def test_files_that_cannot_be_read_are_named_and_the_others_shown(feed: NewFeed) -> None:
    orders = feed(format={"type": "json"}, source={"file_pattern": "*.json*"})
    orders.write("a.json", '{"id": 1, "x": "a"}\n{"id": 2, "x": "b"\n')
    orders.write("b.json", "<html>no</html>")
    orders.write("c.json", '{"id": 3}\n')
    seen = preview(orders)
    assert seen["malformed_records"] == 1
    assert any("b.json" in said and "HTML" in said for said in seen["inconsistencies"])
    assert any("c.json has no value for x" in said for said in seen["inconsistencies"])
    assert len(seen["files_read"]) == 2


def test_a_preview_shows_what_the_policies_leave_of_the_rows(feed: NewFeed) -> None:
    orders = feed(format={"type": "csv", "bad_rows": "quarantine", "schema": {"evolution_mode": "review"}})
    orders.write("a.csv", "id,name\n1,a\n2,b,too many\n")
    orders.run()
    orders.write("b.csv", "id,name,colour\n3,c,red\n")
    seen = preview(orders)
    assert [json.loads(row)["id"] for row in seen["sample_data"]] == [1, 3]
    assert seen["malformed_records"] == 1
    assert "__quarantine" in seen["malformed_fate"]
    assert (seen["ddl"], "until somebody decides" in seen["no_ddl"]) == ([], True)


def test_a_gzip_that_ends_too_early_does_not_spoil_the_preview(feed: NewFeed) -> None:
    import gzip
    import random

    orders = feed(source={"file_pattern": "*.csv*"})
    text = "id,name\n" + "".join(f"{n},{random.Random(n).random()}\n" for n in range(60_000))
    orders.write("a.csv.gz", gzip.compress(text.encode())[:-200_000])
    orders.write("b.csv", "id,name\n7,x\n")
    seen = preview(orders)
    assert [path.rsplit("/")[-1] for path in seen["files_read"]] == ["b.csv"]
    assert any("a.csv.gz" in said for said in seen["inconsistencies"])


def test_an_empty_folder_has_an_empty_preview_with_a_hint(feed: NewFeed) -> None:
    seen = preview(feed())
    assert (seen["schema"], seen["sample_data"], seen["file_count"], seen["estimated_records"]) == ([], [], 0, 0)
    assert "Nothing was found" in seen["hint"]


def test_a_refused_configuration_is_refused_for_a_preview_too(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge"})
    with pytest.raises(ConfigError) as refused:
        preview(orders)
    assert refused.value.field == "destination.merge_keys"


def test_a_preview_of_a_merge_tells_of_rows_without_a_key(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["ID"]})
    orders.write("a.csv", "id,n\n1,1\n,2\n,3\n")
    assert preview(orders)["recommendations"][0].startswith("2 rows have no value in the merge key ID")


def test_a_dry_run_says_what_the_next_run_does_and_changes_nothing(feed: NewFeed) -> None:
    orders = feed()
    orders.write("a.csv", "id\n1\n2\n")
    orders.write("empty.csv", "")
    assert orders.ingestion
    before = counts()
    told = looking.dry_run(ingestion=orders.ingestion)
    assert (told["files"], told["estimated_rows"], told["batches"], told["table_exists"]) == (1, 2, 1, False)
    assert told["files_skipped"] == {"empty": 1}
    assert [statement.split(" (")[0] for statement in told["ddl"]] == [
        "CREATE NAMESPACE IF NOT EXISTS `local`.`feeds`",
        f"CREATE TABLE IF NOT EXISTS `local`.`feeds`.`{orders.table}`",
    ]
    assert told["cost"]["compute"] > 0
    assert counts() == before
    run = orders.run()
    assert run.files_loaded == told["files"]
    assert list(Batch.objects.get().ddl) == told["ddl"]
    orders.write("b.csv", "id,more\n3,x\n")
    told = looking.dry_run(ingestion=orders.ingestion)
    assert (told["files"], told["estimated_rows"]) == (1, 1)
    assert told["ddl"] == [f"ALTER TABLE `local`.`feeds`.`{orders.table}` ADD COLUMNS (`more` string)"]
    assert orders.run().status == "success"
    assert told["ddl"] == list(Batch.objects.order_by("created_at").last().ddl)  # type: ignore[union-attr]
    nothing = looking.dry_run(ingestion=orders.ingestion)
    assert (nothing["files"], nothing["batches"], nothing["ddl"]) == (0, 0, [])
    assert "Nothing new" in nothing["hint"]


def test_a_dry_run_counts_files_that_wait_since_an_earlier_run(feed: NewFeed) -> None:
    orders = feed(destination={"write_mode": "merge", "merge_keys": ["id"]})
    orders.write("a.csv", "id\n1\n1\n")
    assert orders.run().error_code == "duplicate_key"
    told = looking.dry_run(ingestion=orders.ingestion)
    assert (told["files"], told["estimated_rows"]) == (1, 2)
