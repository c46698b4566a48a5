"""Settings: read in full, edited with the effects told first, and never over somebody else's edit."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from clusters.models import Cluster
from ingestions.engine.config import IngestionConfig
from ingestions.models import Credential, Ingestion
from ingestions.services import reading
from ingestions.services.editing import ingestion_update
from tests.cast import configuration, make_ingestion
from tests.web.test_ingestions import text

SECRET = "kept-very-secret"


def leaves(document: Any, at: str = "") -> list[str]:
    if isinstance(document, dict) and document:
        return [leaf for key, value in document.items() for leaf in leaves(value, f"{at}.{key}" if at else key)]
    return [at]


def edit(client: Client, ingestion: Ingestion, yaml: str, step: str, version: int | str = 1) -> str:
    body = {"text": yaml, "step": step, "config_version": version}
    answer = client.post(f"/ingestions/{ingestion.pk}/edit/", body)
    assert answer.status_code == 200, answer
    return answer.content.decode()


def as_yaml(client: Client, ingestion: Ingestion) -> str:
    return client.get(f"/ingestions/{ingestion.pk}/export/").content.decode()


def test_every_field_of_a_configuration_is_in_a_group(cluster: Cluster) -> None:
    config = IngestionConfig.model_validate(configuration(cluster))
    shown = {each.field for group in reading.groups(config) for each in (*group.told, *group.others)}
    apart = {"name", "cluster_id", "source.credentials", "source.credential_id"}
    assert shown == set(leaves(config.to_json())) - apart


def test_settings_are_readable_and_say_what_has_no_effect_yet(browser: Client, owner: User, cluster: Cluster) -> None:
    merged = make_ingestion(
        owner,
        cluster,
        destination={
            "catalog": "lake", "database": "shop", "table": "orders", "write_mode": "merge",
            "merge_keys": ["id", "day"], "order_by": "updated_at", "properties": {"owner": "shop"},
        },
        quality={"row_count_threshold": 5},
    )  # fmt: skip
    page = text(browser, f"/ingestions/{merged.pk}/settings/")
    for part in ("id, day", "updated_at", "owner=shop", "merge", "quality.row_count_threshold is not active yet"):
        assert part in page
    assert 'aria-current="page">Settings' in page
    assert "none: runs are started by hand" in page


def test_secrets_are_said_to_be_set_and_stay_hidden(browser: Client, owner: User, ingestion: Ingestion) -> None:
    ingestion.credential = Credential.objects.create(
        owner=owner, name="x", cloud="s3", inline=True,
        secret={"aws_access_key_id": "AKIDKEPT", "aws_secret_access_key": SECRET},
        public={"region_name": "eu-central-1"},
    )  # fmt: skip
    ingestion.save()
    for page in ("settings/", "edit/", "export/"):
        body = text(browser, f"/ingestions/{ingestion.pk}/{page}")
        assert SECRET not in body
        assert "eu-central-1" in body
    assert "***" in text(browser, f"/ingestions/{ingestion.pk}/edit/")
    saved = edit(browser, ingestion, as_yaml(browser, ingestion).replace("*.csv", "*.tsv"), "check")
    assert "Save</button>" in saved
    browser.post(
        f"/ingestions/{ingestion.pk}/edit/",
        {
            "text": as_yaml(browser, ingestion).replace("*.csv", "*.tsv"),
            "step": "save",
            "config_version": 1,
        },
    )
    ingestion.refresh_from_db()
    assert ingestion.config["source"]["file_pattern"] == "*.tsv"
    assert ingestion.credential is not None
    assert ingestion.credential.secret == {"aws_access_key_id": "AKIDKEPT", "aws_secret_access_key": SECRET}


def test_an_edit_is_told_in_effects_before_it_is_saved(browser: Client, ingestion: Ingestion) -> None:
    before = ingestion.config
    yaml = as_yaml(browser, ingestion).replace("table: orders", "table: orders_2")
    page = edit(browser, ingestion, yaml, "check")
    for part in ("Nothing is saved yet", "The table lake.shop.orders stays as it is", "orders_2", "destination.table"):
        assert part in page
    ingestion.refresh_from_db()
    assert (ingestion.config, ingestion.config_version) == (before, 1)

    back = edit(browser, ingestion, yaml, "edit")
    assert "table: orders_2" in back
    body = {"text": yaml, "step": "save", "config_version": 1}
    answer = browser.post(f"/ingestions/{ingestion.pk}/edit/", body, follow=True)
    assert "The settings of Orders are saved." in answer.content.decode()
    ingestion.refresh_from_db()
    assert (ingestion.destination_key, ingestion.config_version) == ("lake.shop.orders_2", 2)
    assert "destination.table" in answer.content.decode()  # among the changes


def test_an_edit_that_changes_nothing_offers_no_saving(browser: Client, ingestion: Ingestion) -> None:
    page = edit(browser, ingestion, as_yaml(browser, ingestion), "check")
    assert "Nothing differs" in page
    assert ">Save<" not in page


def test_faults_are_told_by_field_and_line_and_the_text_is_kept(browser: Client, ingestion: Ingestion) -> None:
    yaml = as_yaml(browser, ingestion).replace("type: csv", "type: cvs\n  bad_rows: explode")
    page = edit(browser, ingestion, yaml, "check")
    line = yaml.split("\n").index("  type: cvs") + 1
    assert f'data-line="{line}">Line {line}</a>' in page
    assert f'data-line="{line + 1}"' in page
    assert "<code>format.type</code>" in page
    assert "data-focus" in page
    assert escape("type: cvs\n  bad_rows: explode") in page
    broken = edit(browser, ingestion, "name: [", "save")
    assert "data-line" in broken
    assert "one ingestion is wanted here" in edit(browser, ingestion, "name: a\n---\nname: b\n", "save")
    assert "is empty" in edit(browser, ingestion, "", "save")
    ingestion.refresh_from_db()
    assert ingestion.config_version == 1


def test_a_stale_edit_shows_both_versions_and_who_changed_what(
    browser: Client, ingestion: Ingestion, superuser: User
) -> None:
    mine = as_yaml(browser, ingestion).replace("*.csv", "*.mine")
    ingestion_update(ingestion=ingestion, changes={"source": {"file_pattern": "*.theirs"}}, user=superuser)
    for step in ("check", "save"):
        page = edit(browser, ingestion, mine, step, version=1)
        assert "was changed meanwhile" in page
        assert "superuser changed source.file_pattern" in page
        assert "<mark>  file_pattern: &#x27;*.mine&#x27;</mark>" in page
        assert "<mark>  file_pattern: &#x27;*.theirs&#x27;</mark>" in page
        assert "<mark>name: Orders" not in page
    ingestion.refresh_from_db()
    assert ingestion.config["source"]["file_pattern"] == "*.theirs"
    again = edit(browser, ingestion, mine, "check", version=2)
    assert "Nothing is saved yet" in again
    assert "*.theirs" in again  # what it would take back


def test_a_form_without_its_version_is_refused(browser: Client, ingestion: Ingestion) -> None:
    yaml = as_yaml(browser, ingestion).replace("*.csv", "*.mine")
    for version in ("", "zebra", "-1", "9" * 30):
        page = edit(browser, ingestion, yaml, "save", version=version)
        assert "config_version" in page
    ingestion.refresh_from_db()
    assert ingestion.config["source"]["file_pattern"] == "*.csv"


def test_a_clone_is_a_draft_with_a_table_of_its_own(browser: Client, ingestion: Ingestion) -> None:
    page = text(browser, f"/ingestions/{ingestion.pk}/clone/")
    assert 'value="Orders copy"' in page
    assert 'value="orders_copy"' in page
    body = {"name": "Orders of Berlin", "table": "orders_berlin"}
    answer = browser.post(f"/ingestions/{ingestion.pk}/clone/", body, follow=True)
    made = Ingestion.objects.get(name="Orders of Berlin")
    assert (made.destination_key, made.status) == ("lake.shop.orders_berlin", "draft")
    assert "is made as a draft" in answer.content.decode()


def test_a_clone_that_is_refused_keeps_what_was_typed(browser: Client, ingestion: Ingestion) -> None:
    page = browser.post(f"/ingestions/{ingestion.pk}/clone/", {"name": "", "table": "kept_table"}).content.decode()
    assert 'value="kept_table"' in page
    assert 'id="name-wrong"' in page
    assert Ingestion.objects.count() == 1


def test_a_clone_into_the_same_table_is_warned_of(browser: Client, ingestion: Ingestion) -> None:
    body = {"name": "Twice", "table": "orders"}
    page = browser.post(f"/ingestions/{ingestion.pk}/clone/", body, follow=True).content.decode()
    assert "files that both read stand there twice" in page


def test_an_export_is_a_download_that_reads_back(browser: Client, owner: User, cluster: Cluster) -> None:
    odd = make_ingestion(owner, cluster, name='Ünï "quoted"\r\n/ name')
    answer = browser.get(f"/ingestions/{odd.pk}/export/")
    assert answer["Content-Type"] == "application/yaml"
    assert answer["Content-Disposition"].startswith('attachment; filename="')
    assert "\n" not in answer["Content-Disposition"]
    make_ingestion(owner, cluster, name="Second")
    every = browser.get("/ingestions/export/").content.decode()
    assert every.count("---\n") == 2
