from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from tests.cast import make_cluster, make_ingestion
from tests.commands.support import manage

FEED = """\
name: Orders
cluster_id: Warehouse
source:
  type: s3
  path: s3://shop/orders/
  file_pattern: "*.csv"
  credentials: {aws_access_key_id: AKIA, aws_secret_access_key: very-secret}
format: {type: csv}
destination: {catalog: lake, database: shop, table: orders}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "feed with space.yaml"
    path.write_text(FEED)
    return path


def test_an_ingestion_is_made_from_a_file(superuser: User, everybodys: Cluster, file: Path) -> None:
    done = manage("ingestion", "create", "-f", file)
    assert (done.code, done.err) == (0, "")
    assert "Created Orders" in done.out
    made = Ingestion.objects.get()
    assert (made.owner, made.status) == (superuser, "draft")
    again = manage("ingestion", "create", "-f", file, "--json")
    assert again.json()["destination"]["table"] == "orders"
    assert "very-secret" not in done.out + again.out


def test_what_is_not_active_yet_is_told(superuser: User, everybodys: Cluster, file: Path) -> None:
    file.write_text(FEED + "engine: stream\n")
    assert "engine 'stream' is not active yet" in manage("ingestion", "create", "-f", file).err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FEED.replace("csv}", "csv, zebra: 1}"), "format.zebra"),
        ("name: [", "line 1"),
        ("- a", "Error"),
        ("", "Error"),
        (FEED.replace("Warehouse", "Elsewhere"), "no cluster 'Elsewhere'"),
        (FEED.replace("append", "merge") + "destination2: 1", "destination2"),
        (FEED.replace("orders}", "orders, write_mode: merge}"), "destination.merge_keys"),
        ("\ufffe\x00", "Error"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(
    superuser: User, everybodys: Cluster, file: Path, text: str, told: str
) -> None:
    file.write_text(text)
    done = manage("ingestion", "create", "-f", file)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err
    assert "very-secret" not in done.err
    assert not Ingestion.objects.exists()


def test_a_file_that_is_not_there(superuser: User, tmp_path: Path) -> None:
    done = manage("ingestion", "create", "-f", tmp_path / "nothing.yaml")
    assert done.code == 2
    assert "nothing.yaml" in done.err
    assert manage("ingestion", "create", "-f", tmp_path).code == 2


def test_wrong_usage_is_two(db: None) -> None:
    assert manage("ingestion").code == 2
    assert manage("ingestion", "fly").code == 2
    assert manage("ingestion", "show").code == 2


def test_ingestions_are_listed_and_shown(feed: Ingestion) -> None:
    assert "lake.shop.orders" in manage("ingestion", "list").out
    assert [one["id"] for one in manage("ingestion", "list", "--json").json()] == [str(feed.pk)]
    assert "s3://shop/orders/" in manage("ingestion", "show", "Orders").out
    assert manage("ingestion", "show", feed.pk, "--json").json()["name"] == "Orders"


def test_an_empty_list_says_how_to_begin(superuser: User) -> None:
    assert "ingestion create -f" in manage("ingestion", "list").out
    assert manage("ingestion", "list", "--json").json() == []


def test_a_name_must_be_clear(feed: Ingestion, superuser: User, everybodys: Cluster) -> None:
    missing = manage("ingestion", "show", "Nothing", "--json")
    assert missing.code == 2
    assert '"code": "not_found"' in missing.err
    make_ingestion(superuser, everybodys)
    twice = manage("ingestion", "show", "Orders")
    assert twice.code == 2
    assert str(feed.pk) in twice.err


def test_who_acts_must_be_clear_and_sees_their_own(feed: Ingestion, owner: User) -> None:
    assert manage("ingestion", "show", "Orders", "--user", "owner").code == 2
    assert manage("ingestion", "list", "--user", "owner", "--json").json() == []
    assert "no active user 'nobody'" in manage("ingestion", "list", "--user", "nobody").err
    User.objects.create_superuser("second", password="x")
    assert "several administrators" in manage("ingestion", "list").err


def test_names_that_steer_a_terminal_are_shown_as_text(superuser: User, everybodys: Cluster) -> None:
    make_ingestion(superuser, everybodys, name="a\x1b[31mred\nline")
    assert "\x1b" not in manage("ingestion", "list").out


def test_an_ingestion_is_deleted_unless_it_runs(feed: Ingestion) -> None:
    Run.objects.create(ingestion=feed, status="running", started_at=timezone.now())
    busy = manage("ingestion", "delete", "Orders")
    assert busy.code == 2
    assert "active run" in busy.err
    Run.objects.all().delete()
    assert "stay as they are" in manage("ingestion", "delete", "Orders").out
    assert not Ingestion.objects.exists()


def test_a_run_is_queued_once(feed: Ingestion) -> None:
    done = manage("ingestion", "run", "Orders", "--json")
    assert done.json()["status"] == "accepted"
    assert done.json()["run_id"] == str(Run.objects.get().pk)
    again = manage("ingestion", "run", "Orders")
    assert again.code == 2
    assert "already active" in again.err


def test_a_wait_ends_in_time_and_says_that_nobody_works(feed: Ingestion) -> None:
    done = manage("ingestion", "run", "Orders", "--wait", "--timeout", 0)
    assert done.code == 4
    assert "goes on" in done.err


@pytest.mark.django_db(transaction=True)
def test_a_run_that_fails_is_one_and_says_why(superuser: User, tmp_path: Path) -> None:
    from django.conf import settings

    folder = Path(settings.LOCAL_ROOTS[0]) / "gone"
    cluster = make_cluster(None, is_embedded=True, url="sc://127.0.0.1:9")
    source = {"type": "local", "path": str(folder)}
    made = make_ingestion(superuser, cluster, name="Gone", source=source)
    done = manage("ingestion", "run", "Gone", "--here")
    assert done.code == 1, done
    assert str(folder) in done.err
    assert Run.objects.get(ingestion=made).status == "failed"


def test_a_refresh_wants_its_kind_and_a_word(feed: Ingestion) -> None:
    assert manage("ingestion", "refresh", "Orders", "--yes").code == 2
    assert manage("ingestion", "refresh", "Orders", "--full", "--new-only", "--yes").code == 2
    done = manage("ingestion", "refresh", "Orders", "--full")
    assert done.code == 2
    assert "lake.shop.orders would be dropped" in done.err
    assert "--dry-run" in done.err
    assert manage("ingestion", "delete", "Orders", "--drop-table").code == 2
    assert Ingestion.objects.filter(refresh_mode="").exists()


@pytest.mark.django_db(transaction=True)
def test_a_refresh_without_a_cluster_changes_nothing(superuser: User, tmp_path: Path, settings: Any) -> None:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    cluster = make_cluster(None, is_embedded=True, url="sc://127.0.0.1:9/")
    make_ingestion(superuser, cluster, name="Away", source={"type": "local", "path": str(tmp_path)})
    for words in (("refresh", "Away", "--new-only", "--yes"), ("delete", "Away", "--drop-table", "--yes")):
        done = manage("ingestion", *words)
        assert done.code == 1, done
        assert "cannot be reached" in done.err
    assert Ingestion.objects.get().refresh_mode == ""
