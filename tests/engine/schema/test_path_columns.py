"""Columns that stand in an address."""

from __future__ import annotations

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.schema.path_columns import PathColumns, guessed

BASE = "s3://b/in.put/"


@pytest.mark.parametrize(
    ("text", "key", "wanted"),
    [
        ("hive", "dt=2024-01-01/a.csv", {"dt": "2024-01-01"}),
        ("hive", "x/dt=1/Region=eu%2Fwest/y/a=b.csv", {"dt": "1", "Region": "eu/west"}),
        ("hive", "dt=__HIVE_DEFAULT_PARTITION__/n=/a.csv", {"dt": None, "n": None}),
        ("hive", "dt=1/dt=2/a.csv", {"dt": "1"}),
        ("hive", "=1/a.csv", {}),
        ("hive", "a.csv", {}),
        ("{region}/{yyyy}", "eu/2024/a.csv", {"region": "eu", "yyyy": "2024"}),
        ("{region}/{yyyy}", "eu/2024/more/a.csv", {"region": "eu", "yyyy": "2024"}),
        ("{region}/{yyyy}", "eu/a.csv", {}),
        ("{region}/*/{day}/", "eu/x/2024-01-01/a.csv", {"region": "eu", "day": "2024-01-01"}),
        ("v1/{region}-{day}", "v1/eu-west-7/a.csv", {"region": "eu", "day": "west-7"}),
        ("v1/{region}", "v2/eu/a.csv", {}),
        ("{region}_{day}.csv", "eu_7.csv", {"region": "eu", "day": "7"}),
        ("**/{day}.*", "x/y/2024-01-01.csv", {"day": "2024-01-01"}),
        ("{a b}", "100%25/a.csv", {"a b": "100%25"}),
    ],
)
def test_an_address_tells_its_columns(text: str, key: str, wanted: dict[str, str | None]) -> None:
    paths = PathColumns.of(text, BASE)
    assert paths is not None
    assert paths.values(BASE + key) == wanted
    assert paths.values("s3://b/inXput/" + key) == {}


@pytest.mark.parametrize("text", ["x", "{}", "{ }", "{a}/{A}", "{a", "a}", "/{a}", "{a}/{b", "{a/b}"])
def test_a_pattern_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="tells no columns of a path"):
        PathColumns.of(text, BASE)


def test_the_type_is_guessed_by_the_texts() -> None:
    cases: list[tuple[list[str | None], str]] = [
        (["1", "-20", None], "bigint"),
        (["01", "2"], "string"),
        (["2024-01-01", "2024-02-29"], "date"),
        (["2023-02-29"], "string"),
        ([None], "string"),
        (["eu"], "string"),
    ]
    for texts, wanted in cases:
        assert str(guessed(texts)) == wanted
