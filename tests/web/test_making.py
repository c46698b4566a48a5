"""New ingestions in the browser: from a text, or several from a file, all or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from clusters.models import Cluster
from ingestions.models import Ingestion
from tests.cast import make_cluster
from tests.web.conftest import signed_in
from tests.web.test_ingestions import text

ONE = """\
name: Clicks
cluster_id: Warehouse
source: {type: s3, path: "s3://web/clicks/", file_pattern: "*.json"}
format: {type: json}
destination: {catalog: lake, database: web, table: clicks}
"""
TWO = f"{ONE}---\n{ONE.replace('Clicks', 'Views').replace('clicks', 'views')}"


def test_the_example_can_be_created_as_it_stands(owner: User, settings: Any, tmp_path: Path) -> None:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    make_cluster(None, name="Embedded Spark", is_embedded=True, default_catalog="local")
    browser = signed_in(owner)
    page = browser.get("/ingestions/new/")
    answer = browser.post("/ingestions/new/", {"text": page.context["text"], "step": "create"}, follow=True)
    made = Ingestion.objects.get()
    assert answer.redirect_chain == [(f"/ingestions/{made.pk}/", 302)]
    assert (made.owner, made.status, made.config["source"]["path"]) == (owner, "draft", f"{tmp_path}/orders")
    assert "is made as a draft" in answer.content.decode()


def test_the_example_names_ones_own_cluster_where_there_is_no_embedded_one(browser: Client, cluster: Cluster) -> None:
    page = browser.get("/ingestions/new/")
    browser.post("/ingestions/new/", {"text": page.context["text"], "step": "create"})
    assert Ingestion.objects.get().cluster == cluster


def test_without_a_cluster_the_page_says_how_to_get_one(browser: Client) -> None:
    assert "There is no cluster yet" in text(browser, "/ingestions/new/")


@pytest.mark.parametrize("step", ["create", "preview"])
def test_what_is_wrong_is_told_by_line_and_kept(browser: Client, cluster: Cluster, step: str) -> None:
    yaml = ONE.replace("Warehouse", "Nowhere")
    page = browser.post("/ingestions/new/", {"text": yaml, "step": step}).content.decode()
    assert "There is no cluster &#x27;Nowhere&#x27;" in page
    assert 'data-line="2"' in page
    assert "cluster_id: Nowhere" in page
    assert not Ingestion.objects.exists()


def test_unknown_fields_and_every_fault_are_named_at_once(browser: Client, cluster: Cluster) -> None:
    yaml = ONE + "colour: red\nlimits: {files_per_batch: 0}\n"
    page = browser.post("/ingestions/new/", {"text": yaml, "step": "create"}).content.decode()
    assert "<code>colour</code>" in page
    assert "<code>limits.files_per_batch</code>" in page


def test_a_preview_by_script_answers_with_its_part_only(browser: Client, owner: User) -> None:
    make_cluster(owner, name="Away", url="sc://127.0.0.1:9")
    yaml = ONE.replace("Warehouse", "Nowhere")
    part = browser.post("/ingestions/new/", {"text": yaml, "step": "preview"}, headers={"HX-Request": "true"})
    assert part.content.decode().strip().startswith('<div id="seen"')
    assert "There is no cluster" in part.content.decode()


def test_an_import_says_what_it_does_before_it_does_it(browser: Client, cluster: Cluster) -> None:
    page = browser.post("/ingestions/import/", {"text": TWO, "step": "check"}).content.decode()
    assert "Nothing is imported yet." in page
    assert "Clicks" in page
    assert "lake.web.views" in page
    assert not Ingestion.objects.exists()
    done = browser.post("/ingestions/import/", {"text": TWO, "step": "import"}, follow=True).content.decode()
    assert "2 ingestions imported." in done
    assert set(Ingestion.objects.values_list("name", flat=True)) == {"Clicks", "Views"}


def test_an_import_takes_all_documents_or_none(browser: Client, cluster: Cluster) -> None:
    bad = TWO.replace("table: views", 'table: ""')
    page = browser.post("/ingestions/import/", {"text": bad, "step": "import"}).content.decode()
    assert "document 2" in page
    assert "<code>destination.table</code>" in page
    assert "table: &quot;&quot;" in page  # kept
    assert not Ingestion.objects.exists()


def test_a_file_is_imported_as_well(browser: Client, cluster: Cluster) -> None:
    file = SimpleUploadedFile("feeds.yaml", TWO.encode())
    page = browser.post("/ingestions/import/", {"file": file, "text": "", "step": "check"}).content.decode()
    assert "lake.web.views" in page
    assert "name: Views" in page  # goes along to the next step
    for content, said in ((b"\xff\xfe", "not UTF-8"), (b"# " + b"x" * 1_000_001, "larger than")):
        bad = SimpleUploadedFile("bad.yaml", content)
        page = browser.post("/ingestions/import/", {"file": bad, "text": "", "step": "check"}).content.decode()
        assert said in page
        assert "bad.yaml" in page


def test_a_name_that_is_taken_is_changed_only_when_asked(browser: Client, cluster: Cluster) -> None:
    browser.post("/ingestions/import/", {"text": ONE, "step": "import"})
    changed = ONE.replace("*.json", "*.jsonl")
    page = browser.post("/ingestions/import/", {"text": changed, "step": "check"}).content.decode()
    assert "There is an ingestion &#x27;Clicks&#x27; already" in page
    page = browser.post("/ingestions/import/", {"text": changed, "step": "check", "update": "yes"}).content.decode()
    assert "Files that only the new pattern matches" in page
    assert Ingestion.objects.get().config["source"]["file_pattern"] == "*.json"
    browser.post("/ingestions/import/", {"text": changed, "step": "import", "update": "yes"})
    assert Ingestion.objects.get().config["source"]["file_pattern"] == "*.jsonl"


def test_a_text_of_any_allowed_size_goes_through_both_steps(browser: Client, cluster: Cluster) -> None:
    long = ONE + "# é\n" * 150_000  # a browser that escapes it would send three times as much
    assert len(long.encode()) < 1_000_000
    for step in ("check", "import"):
        answer = browser.post("/ingestions/import/", {"text": long, "step": step})
        assert answer.status_code in (200, 302)
    assert Ingestion.objects.get().name == "Clicks"
    more = browser.post("/ingestions/import/", {"text": long + "# x\n" * 100_000, "step": "check"}).content.decode()
    assert "is larger than 1000000 bytes" in more
    assert 'enctype="multipart/form-data"' in more
