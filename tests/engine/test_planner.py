"""Which waiting files make the next batch."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestions.engine import config
from ingestions.engine.formats.shape import Shape, ShapeColumn
from ingestions.engine.ledger import Entry, State, Waiting
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
        batch = plan_batch(left, limit, Waiting(len(left), sum(each.file.size_bytes for each in left)))
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


@given(FILES, st.integers(1, 20), st.integers(1, 200))
def test_a_long_queue_is_cut_at_the_limits(pending: list[Entry], files: int, size: int) -> None:
    batch = plan_batch(pending, limits(files, size))
    assert len(batch) <= files
    assert len(batch) <= 1 or sum(each.file.size_bytes for each in batch) <= size
    assert bool(batch) == bool(pending)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 150))
def test_batches_of_files_alike_are_even_and_no_more_than_needed(count: int, files: int) -> None:
    sizes = [len(batch) for batch in batches([entry(number) for number in range(count)], limits(files))]
    assert len(sizes) == -(-count // files)
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200), st.integers(100, 2000))
def test_batches_that_the_bytes_part_are_about_even(sizes: list[int], limit: int) -> None:
    made = batches([entry(number, size) for number, size in enumerate(sizes)], limits(size=limit))
    in_all = [sum(each.file.size_bytes for each in batch) for batch in made]
    assert max(in_all) <= limit
    assert len(made) <= -(-sum(sizes) // (limit - max(sizes) + 1)) + 1
    if len(made) > 1:  # no crumb: all differ by less than what one file or two can make
        share = sum(sizes) / -(-sum(sizes) // limit)
        assert min(in_all) > share - limit / 2 - 2 * max(sizes)


def test_one_file_more_than_a_batch_makes_two_halves() -> None:
    assert [len(batch) for batch in batches([entry(number) for number in range(1001)], limits())] == [501, 500]


def test_a_huge_file_among_tiny_ones_makes_no_batch_smaller_than_need_be() -> None:
    pending = [entry(number, 5 * 1024**3 if number == 500 else 100) for number in range(2000)]
    made = batches(pending, limits(size=10 * 1024**3))
    assert [len(batch) for batch in made] == [1000, 1000]


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
