from __future__ import annotations

from django.contrib.auth.models import User

from ingestions.engine.ledger import State
from ingestions.models import Ingestion
from tests.api.support import check_problem
from tests.cast import Api, make_file


def test_an_overwritten_version_is_not_tried_again(as_owner: Api, ingestion: Ingestion) -> None:
    old = make_file(ingestion, number=1, version="old", state=State.FAILED)
    new = make_file(ingestion, number=1, version="new", state=State.FAILED)
    check_problem(as_owner.post(f"/files/{old.pk}/retry"), 409, "later_version")
    old.refresh_from_db()
    assert old.state == State.FAILED
    assert as_owner.post(f"/files/{new.pk}/retry").status_code == 200
    new.refresh_from_db()
    assert new.state == State.DISCOVERED


def test_a_file_is_skipped_and_let_in_again(as_owner: Api, ingestion: Ingestion, owner: User) -> None:
    failed = make_file(ingestion, number=1, state=State.FAILED, error_code="broken_file", reason="It ends early.")
    body = as_owner.post(f"/files/{failed.pk}/skip").json()
    assert (body["state"], body["reason"]) == ("SKIPPED", "skipped: owner said so")
    body = as_owner.post(f"/files/{failed.pk}/retry").json()
    assert (body["state"], body["reason"], body["error"]) == ("DISCOVERED", "", None)
    body = as_owner.post(f"/files/{failed.pk}/skip").json()
    assert body["state"] == "SKIPPED"


def test_what_is_loaded_is_neither_skipped_nor_tried_again(as_owner: Api, ingestion: Ingestion) -> None:
    loaded = make_file(ingestion, number=1)
    for verb in ("skip", "retry"):
        assert "LOADED" in check_problem(as_owner.post(f"/files/{loaded.pk}/{verb}"), 409, "file_state")["detail"]
    loaded.refresh_from_db()
    assert (loaded.state, loaded.rows) == (State.LOADED, 100)


def test_who_may_not_decide_about_a_file(
    as_reader: Api, as_stranger: Api, anonymous: Api, ingestion: Ingestion
) -> None:
    failed = make_file(ingestion, number=1, state=State.FAILED)
    for verb in ("skip", "retry"):
        assert anonymous.post(f"/files/{failed.pk}/{verb}").status_code == 401
        assert as_reader.post(f"/files/{failed.pk}/{verb}").status_code == 403
        assert as_stranger.post(f"/files/{failed.pk}/{verb}").status_code == 404
    failed.refresh_from_db()
    assert failed.state == State.FAILED
