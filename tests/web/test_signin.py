from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

PASSWORD = "a long pass phrase"  # of the cast


def test_a_person_signs_in_and_comes_to_where_they_wanted(client: Client, owner: User) -> None:
    answer = client.post("/signin/", {"username": "owner", "password": PASSWORD, "next": "/runs/"})
    assert (answer.status_code, answer["Location"]) == (302, "/runs/")
    assert client.get("/runs/").status_code == 200


def test_a_wrong_password_says_so_and_keeps_the_name(client: Client, owner: User) -> None:
    page = client.post("/signin/", {"username": "owner", "password": "wrong"}).content.decode()
    assert "do not match" in page
    assert 'value="owner"' in page
    assert "wrong" not in page


def test_signing_in_leads_to_this_site_only(client: Client, owner: User) -> None:
    answer = client.post("/signin/", {"username": "owner", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_too_many_failures_lock_the_name_out_for_a_while(client: Client, owner: User) -> None:
    for _ in range(10):
        answer = client.post("/signin/", {"username": "owner", "password": "wrong"})
    assert answer.status_code == 429
    assert "Wait 15 minutes" in answer.content.decode()
    assert client.post("/signin/", {"username": "owner", "password": PASSWORD}).status_code == 429


def test_signing_out_ends_the_session(browser: Client) -> None:
    assert browser.get("/signout/").status_code == 405
    assert browser.post("/signout/")["Location"] == "/signin/"
    assert browser.get("/runs/").status_code == 302


def test_a_name_with_markup_stays_text(client: Client, db: None) -> None:
    page = client.post("/signin/", {"username": '"><b>x', "password": "y"}).content.decode()
    assert "<b>x" not in page
