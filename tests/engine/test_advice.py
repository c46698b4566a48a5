"""What a look at files says of rows that cannot be read, and of columns that the table has not."""

from __future__ import annotations

from typing import Any

import pytest

from ingestions.engine.advice import malformed_fate, no_statement
from ingestions.engine.config import IngestionConfig


def config(**format_: Any) -> IngestionConfig:
    return IngestionConfig.model_validate(
        {
            "name": "n",
            "cluster_id": "c",
            "source": {"type": "local", "path": "/in"},
            "format": {"type": "csv", **format_},
            "destination": {"catalog": "c", "database": "d", "table": "t"},
        }
    )


@pytest.mark.parametrize(
    ("format_", "said"),
    [
        ({}, "_rescued_data"),
        ({"bad_rows": "quarantine"}, "c.d.t__quarantine"),
        ({"bad_rows": "drop"}, "left out of the table, and counted"),
        ({"bad_rows": "fail", "bad_rows_limit": "2.5%"}, "2.5 % of them"),
        ({"bad_rows": "fail"}, "may have 0 of them"),
    ],
)
def test_what_becomes_of_malformed_rows_is_what_the_policy_does(format_: dict[str, Any], said: str) -> None:
    assert said in malformed_fate(config(**format_))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({}, "has every column"),
        ({"evolution_mode": "addNewColumnsWithTypeWidening"}, "has every column"),
        ({"evolution_mode": "rescue"}, "_rescued_data"),
        ({"evolution_mode": "failOnNewColumns"}, "stops its run"),
        ({"evolution_mode": "review"}, "until somebody decides"),
        ({"evolution_mode": "none"}, "left out, and counted"),
        ({"evolution_enabled": False}, "left out, and counted"),
    ],
)
def test_why_nothing_is_altered_is_what_the_mode_does(schema: dict[str, Any], said: str) -> None:
    assert said in no_statement(config(schema=schema))
