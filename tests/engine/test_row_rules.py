"""What a configuration may say of malformed rows and of files that change."""

from __future__ import annotations

from typing import Any

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.damage import is_cut
from ingestions.engine.row_rules import faults
from ingestions.engine.rows_limit import RowsLimit


@pytest.mark.parametrize(
    ("limit", "malformed", "rows", "exceeded"),
    [
        (0, 1, 10, True),
        (0, 0, 10, False),
        ("3", 3, 4, False),
        (3, 4, 4, True),
        ("10%", 1, 10, False),
        ("10 %", 2, 10, True),
        ("0.5%", 1, 200, False),
        ("0.5%", 1, 199, True),
        ("100%", 5, 5, False),
    ],
)
def test_a_limit_is_a_number_of_rows_or_a_share(limit: Any, malformed: int, rows: int, exceeded: bool) -> None:
    assert RowsLimit.parse(limit).exceeded(malformed, rows) is exceeded


@pytest.mark.parametrize("limit", ["", "x", "-1", -1, "101%", "1e3", "%", "1.5", 10**20])
def test_what_is_no_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigError):
        RowsLimit.parse(limit)


@pytest.mark.parametrize(
    ("format_", "destination", "field"),
    [
        ({"bad_rows_limit": 5}, {}, None),
        ({"bad_rows": "fail", "bad_rows_limit": "lots"}, {}, "format.bad_rows_limit"),
        ({"type": "parquet", "bad_rows": "drop"}, {}, "format.bad_rows"),
        ({"overwritten": "replace"}, {"write_mode": "overwrite"}, "format.overwritten"),
        ({"overwritten": "replace"}, {"write_mode": "merge", "merge_keys": ["a"]}, "format.overwritten"),
        ({"bad_rows": "quarantine"}, {"table": "t" * 250}, "destination.table"),
        ({"bad_rows": "fail", "bad_rows_limit": "5%", "overwritten": "replace"}, {}, None),
        ({"bad_rows": "quarantine", "dedupe_content": True}, {}, None),
    ],
)
def test_contradictions_name_their_field(
    format_: dict[str, Any], destination: dict[str, Any], field: str | None
) -> None:
    config = IngestionConfig.model_validate(
        {
            "name": "n",
            "cluster_id": "c",
            "source": {"type": "local", "path": "/x"},
            "format": {"type": "csv", **format_},
            "destination": {"catalog": "c", "database": "d", "table": "t", **destination},
        }
    )
    assert [fault[0] for fault in faults(config)] == ([field] if field else [])


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ('{"a": 1', True), ('{"a": "x', True), ('{"a": tru', True), ('{"a": 1,', True), ('{"a":', True), ("{", True),
        ('{"a": [1, 2', True), ('[\n{"a": 1},\n', True), ('{"a": 1}', False), ('{"a": 1}}', False), ('{"a" 1}', False),
        ("plain", False), ("", False), ("{a: 1}", False), ('[{"id": 4},\n {"id": 5]', False),
    ],
)  # fmt: skip
def test_a_record_that_ends_too_early_is_told_from_one_that_is_malformed(text: str, cut: bool) -> None:
    assert is_cut(text) is cut
