"""Who sees a page at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern

from clusters.models import Cluster
from ingestions.models import Ingestion, Run
from ingestions.web.urls import urlpatterns
from tests.cast import make_schema_change

OPEN = {"signin", "signout", "home"}
#: these ask a cluster or a store at once.
ASKING = {"ingestion_rows", "ingestion_cost"}


def addresses(ingestion: Ingestion, run: Run, cluster: Cluster) -> Iterator[tuple[str, URLPattern]]:
    from django.urls import reverse

    file = ingestion.files.first()
    assert file is not None
    change = ingestion.schema_changes.first() or make_schema_change(ingestion)
    for pattern in urlpatterns:
        name = str(pattern.name)
        if name in OPEN:
            continue
        keys = {"file": file.pk, "run": run.pk, "cluster": cluster.pk, "ingestion": ingestion.pk, "schema": change.pk}
        route = str(pattern.pattern)
        arguments = [next(key for kind, key in keys.items() if name.startswith(kind))] if "<" in route else []
        yield reverse(f"web:{name}", args=arguments), pattern


def test_every_page_sends_a_visitor_to_sign_in_and_back(
    client: Client, ingestion: Ingestion, run: Run, cluster: Cluster
) -> None:
    for address, pattern in addresses(ingestion, run, cluster):
        for method in (client.get, client.post):
            answer = method(address)
            if answer.status_code == 405:
                continue
            assert answer.status_code == 302, pattern
            assert answer["Location"] == f"/signin/?next={address.replace('/', '%2F')}"


def test_every_page_of_somebody_else_looks_as_if_it_were_not_there(
    strangers_browser: Client, ingestion: Ingestion, run: Run, cluster: Cluster
) -> None:
    seen = 0
    for address, pattern in addresses(ingestion, run, cluster):
        if "<" not in str(pattern.pattern):
            continue
        answers = {strangers_browser.get(address).status_code, strangers_browser.post(address).status_code}
        assert answers <= {404, 405}, pattern
        assert 404 in answers, pattern
        seen += 1
    assert seen > 8
    assert not Run.objects.active().exists()


def test_what_never_was_is_not_found(browser: Client) -> None:
    for kind in ("ingestions", "runs", "clusters"):
        assert browser.get(f"/{kind}/{uuid4()}/").status_code == 404
    assert browser.get("/files/987654/").status_code == 404
    assert browser.get("/nothing/").status_code == 404


def test_a_superuser_sees_everybodys(superuser: User, ingestion: Ingestion, run: Run, cluster: Cluster) -> None:
    client = Client()
    client.force_login(superuser)
    assert client.get(f"/ingestions/{ingestion.pk}/").status_code == 200
    assert client.get(f"/runs/{run.pk}/").status_code == 200


def test_a_part_that_refreshes_itself_takes_the_page_to_sign_in(client: Client, ingestion: Ingestion) -> None:
    page = f"http://testserver/ingestions/{ingestion.pk}/"
    answer = client.get(page, headers={"HX-Request": "true", "HX-Current-URL": page})
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == f"/signin/?next=%2Fingestions%2F{ingestion.pk}%2F"


def test_forms_need_their_token(owner: User, ingestion: Ingestion) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post(f"/ingestions/{ingestion.pk}/run/")
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert not Run.objects.exists()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_form_leads_back_to_this_site_only(browser: Client, ingestion: Ingestion, elsewhere: str) -> None:
    answer = browser.post(f"/ingestions/{ingestion.pk}/run/", {"next": elsewhere})
    assert answer["Location"] == f"/ingestions/{ingestion.pk}/"


def test_pages_are_not_kept_by_browsers_and_carry_the_policy(
    browser: Client, ingestion: Ingestion, run: Run, cluster: Cluster
) -> None:
    seen = 0
    for address, pattern in addresses(ingestion, run, cluster):
        if pattern.name in ASKING:
            continue
        answer = browser.get(address)
        if answer.status_code == 405:
            continue
        assert answer.status_code == 200, pattern
        assert answer["Cache-Control"] == "no-store"
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        body = answer.content.decode()
        assert " style=" not in body, pattern
        assert "<style" not in body, pattern
        assert not re.search(r" on[a-z]+=", body), pattern
        seen += 1
    assert seen > 18
