from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.backfill import Range, range_of
from ingestions.engine.config import Source
from ingestions.engine.sources.base import RemoteFile

SOURCE = Source(type="s3", path="s3://shop/orders/", file_pattern="*.csv")
MAY = datetime(2025, 5, 1, tzinfo=UTC)


def file(address: str, at: datetime) -> RemoteFile:
    return RemoteFile(address, "v", 1, at)


def test_a_range_holds_what_lies_between_its_bounds() -> None:
    may = range_of(SOURCE, modified_after=MAY, modified_before=datetime(2025, 6, 1), prefix="eu/")  # noqa: DTZ001
    assert may.prefix == "s3://shop/orders/eu/"
    assert may.holds(file("s3://shop/orders/eu/a.csv", MAY))
    assert not may.holds(file("s3://shop/orders/us/a.csv", MAY))
    assert not may.holds(file("s3://shop/orders/eu/a.csv", MAY - timedelta(microseconds=1)))
    assert not may.holds(file("s3://shop/orders/eu/a.csv", datetime(2025, 6, 1, tzinfo=UTC)))
    assert Range.of(may.to_json()) == may
    assert may.words() == (
        "files modified from 2025-05-01 00:00 UTC on and before 2025-06-01 00:00 UTC whose names begin with "
        "s3://shop/orders/eu/"
    )


def test_a_prefix_may_be_a_whole_address() -> None:
    found = range_of(SOURCE, modified_after=None, modified_before=None, prefix="s3://shop/orders/eu")
    assert found.prefix == "s3://shop/orders/eu"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "modified_after"),
        ({"prefix": "   "}, "modified_after"),
        ({"modified_after": MAY, "modified_before": MAY}, "modified_before"),
        ({"prefix": "s3://other/orders/"}, "prefix"),
        ({"prefix": "a\x00b"}, "prefix"),
        ({"modified_after": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))}, "modified_after"),
    ],
)
def test_a_range_that_makes_no_sense_names_its_field(given: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        range_of(SOURCE, **{"modified_after": None, "modified_before": None, "prefix": None, **given})  # type: ignore[arg-type]
    assert refused.value.field == field
