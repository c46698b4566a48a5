from __future__ import annotations

from django.contrib.auth.models import User

from accounts.models import ApiToken
from accounts.services import token_create
from tests.api.support import check_list, check_problem
from tests.cast import Api, QueryCount, caller


def test_a_new_token_is_shown_once_and_works(as_admin: Api) -> None:
    response = as_admin.post("/tokens", {"name": "night job", "scope": "run"})
    body = response.json()
    assert response.status_code == 201
    assert body["token"].startswith("al_")
    assert (body["name"], body["scope"], body["user"]) == ("night job", "run", "owner")
    assert Api(body["token"]).get("/ingestions").status_code == 200
    assert body["token"] not in as_admin.get("/tokens").content.decode()
    assert "token" not in as_admin.get("/tokens").json()[0]


def test_an_expiry_needs_a_zone_and_lies_ahead(as_admin: Api) -> None:
    assert (
        as_admin.post("/tokens", {"expires_at": "2999-01-01T00:00:00Z"}).json()["expires_at"] == "2999-01-01T00:00:00Z"
    )
    check_problem(as_admin.post("/tokens", {"expires_at": "2999-01-01T00:00:00"}), 422, "invalid_request")
    check_problem(as_admin.post("/tokens", {"expires_at": "2001-01-01T00:00:00Z"}), 400, "expired")


def test_one_sees_ones_own_tokens_only(as_admin: Api, as_stranger: Api, as_superuser: Api) -> None:
    assert {row["user"] for row in check_list(as_admin.get("/tokens"), 1)} == {"owner"}
    assert {row["user"] for row in check_list(as_superuser.get("/tokens"), 3)} == {"owner", "stranger", "superuser"}


def test_a_revoked_token_counts_no_more(owner: User, as_admin: Api) -> None:
    row, text = token_create(user=owner, name="leaked", scope="admin")
    assert as_admin.delete(f"/tokens/{row.pk}").status_code == 204
    check_problem(Api(text).get("/ingestions"), 401, "invalid_token")
    assert check_list(as_admin.get("/tokens"), 2)[0]["revoked_at"] is not None


def test_a_stranger_cannot_revoke_it(owner: User, as_stranger: Api) -> None:
    row, text = token_create(user=owner, name="", scope="read")
    check_problem(as_stranger.delete(f"/tokens/{row.pk}"), 404, "token_not_found")
    assert Api(text).get("/ingestions").status_code == 200


def test_a_long_list_costs_no_more_queries_than_a_short_one(owner: User, as_admin: Api, queries_of: QueryCount) -> None:
    as_admin.get("/tokens")
    short = queries_of(lambda: as_admin.get("/tokens"))
    for _ in range(29):
        caller(owner, "read")
    assert queries_of(lambda: check_list(as_admin.get("/tokens"), 30)) == short
    assert ApiToken.objects.count() == 30
