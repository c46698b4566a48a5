"""What may be said in a condition, and what may not."""

from __future__ import annotations

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine.conditions import parse
from ingestions.engine.loader.sql import identifier


@pytest.mark.parametrize(
    ("text", "columns", "sql"),
    [
        ("op = 'D'", ("op",), "`op` = 'D'"),
        ("`a b` = 1 or not x", ("a b", "x"), "`a b` = 1 OR NOT `x`"),
        ("lower(op) in ('d', 'x') and gone_at is not null", ("op", "gone_at"),
         "LOWER(`op`) IN ('d', 'x') AND NOT `gone_at` IS NULL"),
        ("deleted", ("deleted",), "`deleted`"),
        ("`o``p` = 'it\\'s' -- a remark", ("o`p",), "`o``p` = 'it\\'s'"),
    ],
)  # fmt: skip
def test_conditions_are_written_anew(text: str, columns: tuple[str, ...], sql: str) -> None:
    found = parse(text, "destination.delete_when")
    assert found.columns == columns
    assert found.sql(identifier) == sql


@pytest.mark.parametrize(
    "text",
    [
        "", "1 = 1", "op = (SELECT 1)", "x IN (SELECT id FROM other)", "java_method('a', 'b') = x",
        "reflect('java.lang.System', 'exit') = x", "op = 'D'; DROP TABLE t", "t.op = 'D'", "op =", "count(x) > 1",
        "exists(select 1 from t where x = 1)", "x = input_file_name()", "(" * 5000 + "x" + ")" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_harmless_condition_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text, "destination.delete_when")
    assert refused.value.field == "destination.delete_when"
