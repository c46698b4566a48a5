from __future__ import annotations

import pytest

from autoloader.lib.words import plural


@pytest.mark.parametrize(
    ("count", "word", "said"),
    [(0, "file", "0 files"), (1, "file", "1 file"), (2000, "batch", "2,000 batches"), (2, "alias", "2 aliases")],
)
def test_a_noun_goes_with_its_number(count: int, word: str, said: str) -> None:
    assert plural(count, word) == said
