"""What is refused before anything is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import ConflictError, TransientError
from ingestions.models import Ingestion
from ingestions.services.refresh import ingestion_delete_with_table
from ingestions.services.runs import RunActive, run_start
from tests.services.refresh.feed import FILES, Feed

pytestmark = pytest.mark.django_db(transaction=True)
spark = pytest.mark.spark


@spark
def test_rows_of_others_are_not_dropped(feed: Feed) -> None:
    feed.sql(
        f"INSERT INTO {feed.table} VALUES (7, 'x', NULL, NULL, NULL, NULL, NULL), (8, 'y', NULL, NULL, 'b', NULL, NULL)"
    )
    for verb in (lambda: feed.refresh("full"), lambda: ingestion_delete_with_table(ingestion=feed.fresh())):
        with pytest.raises(ConflictError, match="holds 2 rows that this ingestion did not write") as refused:
            verb()
        assert refused.value.code == "foreign_rows"
    assert len(feed.ids()) == 2 * FILES + 2
    assert (feed.fresh().refresh_mode, set(feed.states())) == ("", {"LOADED"})


@spark
def test_a_table_that_was_there_before_is_not_dropped(feed: Feed) -> None:
    Ingestion.objects.update(created_table=False)
    feed.sql(f"ALTER TABLE {feed.ingestion.destination_key} UNSET TBLPROPERTIES ('autoloader.ingestion')")
    with pytest.raises(ConflictError, match=f"it holds {2 * FILES} rows") as refused:
        feed.refresh("new_only")
    assert refused.value.code == "table_not_ours"
    assert len(feed.ids()) == 2 * FILES


@spark
def test_a_table_whose_creation_was_not_written_down_is_known_by_its_mark(feed: Feed) -> None:
    """The worker died between the CREATE TABLE and its note of it."""
    Ingestion.objects.update(created_table=False)
    feed.refresh("full")
    feed.finish()
    feed.check_whole()


@spark
def test_files_that_are_gone_are_named_and_their_loss_accepted(feed: Feed) -> None:
    gone = feed.folder / "1.csv"
    gone.unlink()
    with pytest.raises(ConflictError, match="Of the files once loaded 1 would not") as refused:
        feed.refresh("full")
    assert str(gone) in refused.value.message
    assert feed.refresh("new_only", dry_run=True).status == "dry_run", "it loads none of them again anyway"
    assert len(feed.ids()) == 2 * FILES
    outcome = feed.refresh("full", accept_loss=True)
    assert "Of the files once loaded 1 cannot be loaded again" in outcome.to_json()["warnings"][1]
    feed.finish()
    assert feed.ids() == [0, 0, 2, 2, 3, 3]


def test_not_while_a_run_is_active(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "busy")
    run_start(ingestion=feed.ingestion)
    with pytest.raises(RunActive):
        feed.refresh("full")
    with pytest.raises(RunActive):
        ingestion_delete_with_table(ingestion=feed.fresh())


def test_not_while_another_kind_was_begun(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "begun")
    Ingestion.objects.update(refresh_mode="full")
    with pytest.raises(ConflictError, match="was begun and has not ended"):
        feed.refresh("new_only")


def test_a_cluster_that_is_away_changes_nothing(root: Path) -> None:
    feed = Feed(root, "sc://127.0.0.1:9/", "away")
    with pytest.raises(TransientError):
        feed.refresh("full", bounded=Bounded(what="the cluster"))
    assert feed.fresh().refresh_mode == ""
