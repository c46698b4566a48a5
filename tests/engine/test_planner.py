"""Which waiting files make the next batch."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ingestions.engine import config
from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.ledger import Entry, State
from ingestions.engine.planner import MAX_SHAPES, plan_batch
from ingestions.engine.sources.base import RemoteFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, size: int = 10, shape: int = 0) -> Entry:
    file = RemoteFile(f"s3://b/{number}.csv", "v", size, NOW)
    return Entry(number, file, State.DISCOVERED, Shape("csv", (ShapeColumn(f"c{shape}"),)))


def limits(files: int = 1000, size: int = 10**9) -> config.Limits:
    return config.Limits(files_per_batch=files, bytes_per_batch=size)


def batches(pending: list[Entry], limit: config.Limits) -> list[list[Entry]]:
    """All of them, as a run makes one after the other."""
    left, made = list(pending), []
    while left:
        batch = plan_batch(left, limit)
        made.append(batch)
        taken = {each.id for each in batch}
        left = [each for each in left if each.id not in taken]
        assert len(made) <= len(pending)
    return made


FILES = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 12)), max_size=60).map(
    lambda rows: [entry(number, size, shape) for number, (size, shape) in enumerate(rows)]
)


@given(FILES, st.integers(1, 20), st.integers(1, 200))
def test_each_file_is_in_one_batch_and_limits_hold(pending: list[Entry], files: int, size: int) -> None:
    made = batches(pending, limits(files, size))
    assert sorted(each.id for batch in made for each in batch) == [each.id for each in pending]
    for batch in made:
        assert len(batch) <= files
        assert len(batch) == 1 or sum(each.file.size_bytes for each in batch) <= size
        assert len({each.shape for each in batch}) <= MAX_SHAPES


def test_the_oldest_go_first() -> None:
    pending = [entry(number) for number in (5, 3, 9, 1)]
    assert [each.id for each in plan_batch(pending, limits(files=3))] == [1, 3, 5]


def test_a_file_larger_than_the_limit_is_a_batch_of_its_own() -> None:
    made = batches([entry(1, 5), entry(2, 500), entry(3, 5)], limits(size=100))
    assert [[each.id for each in batch] for batch in made] == [[1], [2], [3]]


def test_tiny_files_make_few_batches() -> None:
    assert len(batches([entry(number, 1) for number in range(10_000)], limits())) == 10


def test_nothing_pending_is_no_batch() -> None:
    assert plan_batch([], limits()) == []
