from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.engine.ledger import State
from ingestions.models import Credential, Ingestion, LedgerEntry, Run
from tests.cast import make_file, make_ingestion, make_run
from tests.commands.support import manage

SECRET = "s3cr3t/access+key"


def test_one_field_is_set_and_its_effect_told(feed: Ingestion) -> None:
    done = manage("ingestion", "edit", "Orders", "--set", "limits.files_per_batch=50", "--set", "source.min_bytes=null")
    assert (done.code, done.err) == (0, "")
    assert "Changed Orders." in done.out
    assert "new limits" in done.out
    feed.refresh_from_db()
    assert feed.config["limits"]["files_per_batch"] == 50
    assert "Nothing changed." in manage("ingestion", "edit", "Orders", "--set", "limits.files_per_batch=50").out


def test_parts_are_laid_over_from_a_file(feed: Ingestion, tmp_path: Path) -> None:
    file = tmp_path / "change.yaml"
    file.write_text("source: {max_bytes: 9}\nschedule:\n  frequency: hourly\n")
    body = manage("ingestion", "edit", feed.pk, "-f", file, "--set", "name=Sales", "--json").json()
    assert (body["name"], body["source"]["max_bytes"], body["schedule"]["frequency"]) == ("Sales", 9, "hourly")
    assert body["source"]["file_pattern"] == "*.csv"
    assert any("schedule" in effect for effect in body["effects"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "not said what to change"),
        (["--set", "limits"], "no FIELD=VALUE"),
        (["--set", "limits.files_per_batch=0"], "limits.files_per_batch"),
        (["--set", "limits.files_per_batch=["], "the value of limits.files_per_batch"),
        (["--set", "zebra=1"], "zebra"),
        (["--set", "config_version=9"], "version 1"),
        (["--set", "source.path=s3://shop/../x"], "Field: source.path"),
        (["--set", "source.credentials.aws_secret_access_key=hunter2"], "can be read by everybody"),
        (["-f", "/nothing.yaml"], "/nothing.yaml"),
    ],
)
def test_a_refused_edit_is_two_and_changes_nothing(feed: Ingestion, words: list[str], told: str) -> None:
    before = feed.config
    done = manage("ingestion", "edit", "Orders", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "hunter2" not in done.err
    feed.refresh_from_db()
    assert (feed.config, feed.config_version) == (before, 1)


def test_a_fault_in_a_file_names_its_line(feed: Ingestion, tmp_path: Path) -> None:
    file = tmp_path / "change.yaml"
    file.write_text("source:\n  min_bytes: 9\n  max_bytes: 8\n")
    assert "line 3, column 3" in manage("ingestion", "edit", "Orders", "-f", file).err


def test_secrets_come_from_the_environment(feed: Ingestion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)
    words = ["--set", "source.credentials.aws_access_key_id=${THE_SECRET}"]
    done = manage(
        "ingestion", "edit", "Orders", *words, "--set", "source.credentials.aws_secret_access_key=${THE_SECRET}"
    )
    assert done.code == 0, done
    assert SECRET not in done.out + done.err
    secret = Credential.objects.get().secret
    assert secret is not None
    assert set(secret.values()) == {SECRET}


def test_steps_are_taken_and_refused(feed: Ingestion) -> None:
    assert "Orders is active" in manage("ingestion", "activate", "Orders").out
    assert manage("ingestion", "pause", "Orders", "--json").json()["status"] == "paused"
    assert "Orders is active" in manage("ingestion", "resume", feed.pk).out
    again = manage("ingestion", "resume", "Orders")
    assert again.code == 2
    assert "nothing to resume" in again.err


def test_a_clone_is_made(feed: Ingestion) -> None:
    done = manage("ingestion", "clone", "Orders", "--name", "Second", "--set", "source.path=s3://shop/second/")
    assert "Made Second" in done.out
    assert "lake.shop.orders_copy" in done.out
    assert Ingestion.objects.get(name="Second").config["source"]["path"] == "s3://shop/second/"
    assert manage("ingestion", "clone", "Orders", "--json").json()["name"] == "Orders copy"
    assert manage("ingestion", "clone", "Orders", "--set", "zebra=1").code == 2
    assert Ingestion.objects.count() == 3


def test_the_ingestion_of_somebody_else_is_not_found(feed: Ingestion, owner: User) -> None:
    for words in (
        ["edit", "Orders", "--set", "name=X"],
        ["activate", "Orders"],
        ["clone", "Orders"],
        ["export", "Orders"],
    ):
        assert manage("ingestion", *words, "--user", "owner").code == 2
    assert Ingestion.objects.get().config_version == 1


def test_ingestions_go_out_and_come_back(feed: Ingestion, superuser: User, everybodys: Cluster, tmp_path: Path) -> None:
    make_ingestion(superuser, everybodys, name="Returns")
    text = manage("ingestion", "export", "--all").out
    assert text.count("---\n") == 2
    assert manage("ingestion", "export", "Returns", feed.pk, "--json").json()["yaml"].startswith("---\nname: Returns")
    file = tmp_path / "all.yaml"
    file.write_text(text.replace("*.csv", "*.txt", 1))
    taken = manage("ingestion", "import", "-f", file)
    assert taken.code == 2
    assert "document 1, line 2" in taken.err
    done = manage("ingestion", "import", "-f", file, "--update")
    assert "Updated Orders" in done.out
    assert "Unchanged Returns" in done.out
    assert "only the new pattern matches" in done.out
    assert manage("ingestion", "import", "-f", file, "--update", "--json").json()["unchanged"] == 2
    Ingestion.objects.all().delete()
    assert "Created Orders" in manage("ingestion", "import", "-f", file).out


def test_what_to_export_must_be_said(feed: Ingestion) -> None:
    assert manage("ingestion", "export").code == 2
    assert manage("ingestion", "export", "--all", "Orders").code == 2
    assert manage("ingestion", "export", "Nothing").code == 2


def test_an_import_puts_variables_in(
    superuser: User, everybodys: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)
    file = tmp_path / "feed.yaml"
    file.write_text(
        "name: Orders\ncluster_id: Warehouse\nformat: {type: csv}\n"
        "destination: {catalog: lake, database: shop, table: orders}\nsource:\n  type: s3\n  path: s3://shop/\n"
        "  credentials: {aws_access_key_id: AKIA, aws_secret_access_key: '${THE_SECRET}'}\n"
    )
    done = manage("ingestion", "import", "-f", file, "--json")
    assert done.json()["created"] == 1
    assert SECRET not in done.out + done.err
    assert Credential.objects.get().secret == {"aws_access_key_id": "AKIA", "aws_secret_access_key": SECRET}
    assert SECRET not in manage("ingestion", "export", "--all").out


def test_a_run_is_retried(feed: Ingestion) -> None:
    run = make_run(feed, files=1, errors=1)
    make_file(feed, run=run, number=9, state=State.FAILED)
    done = manage("run", "retry", run.pk, "--json").json()
    again = Run.objects.get(pk=done["run_id"])
    assert (again.trigger, again.retry_of) == ("retry", run)
    assert not LedgerEntry.objects.filter(state=State.FAILED).exists()
    busy = manage("run", "retry", run.pk)
    assert busy.code == 2
    assert "already active" in busy.err
    Run.objects.filter(pk=again.pk).update(status="success")
    nothing = manage("run", "retry", again.pk)
    assert nothing.code == 2
    assert "no file left that failed" in nothing.err


def test_a_retry_can_be_waited_for(feed: Ingestion) -> None:
    run = Run.objects.create(ingestion=feed, status="failed")
    done = manage("run", "retry", run.pk, "--wait", "--timeout", 0)
    assert done.code == 4
    assert "goes on" in done.err
