from __future__ import annotations

from autoloader.lib.chunks import chunks


def test_all_items_come_in_order_a_part_at_a_time() -> None:
    assert [list(part) for part in chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert [list(part) for part in chunks([1, 2], 2)] == [[1, 2]]
    assert list(chunks([], 2)) == []
