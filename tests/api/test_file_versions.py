from __future__ import annotations

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
