from __future__ import annotations

import pytest

from ingestions.engine.formats.damage import is_cut, last_line


@pytest.mark.parametrize(
    ("text", "last"),
    [("", ""), ("a", "a"), ("a\n", ""), ("a\nb", "b"), ("a\r\nb", "b"), ("a\rb", "b"), ("a\n\r", "")],
)
def test_the_last_line_is_what_stands_behind_the_last_line_end(text: str, last: str) -> None:
    assert last_line(text) == last


def test_it_is_found_in_a_long_line_without_looking_from_each_character() -> None:
    """Taken from each character to the end, these would be a trillion steps."""
    assert last_line("x" * 2_000_000 + "\n") == ""


@pytest.mark.parametrize("text", ['{"a": 1', '{"a": "b', '{"a": tru', "[1, 2", '{"a":', "{"])
def test_a_record_that_ends_too_early_is_cut(text: str) -> None:
    assert is_cut(text)


@pytest.mark.parametrize("text", ['{"a": 1}', "", "no json", '{"a": 1} x', '{"a" 1, "b', "[1, 2]"])
def test_what_is_whole_or_otherwise_wrong_is_not(text: str) -> None:
    assert not is_cut(text)
