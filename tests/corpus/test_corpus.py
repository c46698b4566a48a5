"""Each file of the corpus, through the whole engine: its verdict, its rows, and what of them was rescued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusters.embedded import EmbeddedServer
from tests.corpus import engine
from tests.corpus.case import Feed, File
from tests.corpus.feeds import FEEDS
from tests.engine.loader.feed import new_session

pytestmark = pytest.mark.spark
CASES = [(feed, file) for feed in FEEDS for file in feed.files]


class Outcome:
    """What a feed looks like once it is loaded."""

    def __init__(self, table: engine.Table) -> None:
        self.types, self.rows, self.verdicts = table.types(), table.rows(), table.verdicts()


@pytest.fixture(scope="module")
def outcome_of(spark_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A feed's outcome; each is loaded once, when the first of its files asks. What stopped it is told to all."""
    spark = new_session(spark_server.url)
    done: dict[str, Outcome | Exception] = {}

    def find(feed: Feed) -> Outcome:
        if feed.name not in done:
            try:
                done[feed.name] = Outcome(engine.load(spark, tmp_path_factory.mktemp("feed"), feed))
            except Exception as error:
                done[feed.name] = error
        found = done[feed.name]
        if isinstance(found, Exception):
            raise found
        return found

    yield find
    done.clear()


@pytest.mark.parametrize(("feed", "file"), CASES, ids=[f"{feed.name}/{file.name}" for feed, file in CASES])
def test_a_file_becomes_its_rows(outcome_of: Callable[[Feed], Outcome], feed: Feed, file: File) -> None:
    outcome = outcome_of(feed)
    verdict = outcome.verdicts[file.name]
    assert (verdict.state, verdict.reason) == (file.verdict, file.reason)
    found = outcome.rows.get(file.name, [])
    assert sorted(map(engine.plain, found)) == sorted(map(engine.plain, file.rows))
    assert verdict.rows == len(file.rows)


TYPED = [feed for feed in FEEDS if feed.types is not None]


@pytest.mark.parametrize("feed", TYPED, ids=[feed.name for feed in TYPED])
def test_a_feed_gets_these_columns(outcome_of: Callable[[Feed], Outcome], feed: Feed) -> None:
    assert outcome_of(feed).types == feed.types


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_no_row_comes_from_anywhere_else(outcome_of: Callable[[Feed], Outcome], feed: Feed) -> None:
    outcome = outcome_of(feed)
    names = {file.name for file in feed.files}
    assert set(outcome.verdicts) == names
    assert set(outcome.rows) <= names
