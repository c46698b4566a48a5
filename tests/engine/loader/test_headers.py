"""Headers as people have them, from the file's first bytes to the table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestions.engine.formats.sniff import sniff
from ingestions.engine.ledger import Entry
from tests.engine.loader.feed import Feed

pytestmark = pytest.mark.spark

NewFeed = Callable[..., Feed]


class Disk:
    """Reads by address, as a source does."""

    def read_range(self, address: str, start: int, length: int) -> bytes:
        with open(address.removeprefix("file://"), "rb") as file:
            content = file.read()
        return content[start:][:length]


def sniffed(feed: Feed, name: str, content: str) -> Entry:
    written = feed.csv(name, content)
    return feed.entry(name, sniff(Disk(), written.file, feed.config.format))


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("a, b,c ", ["a", "b", "c"]),
        ("a,,A", ["a", "_c1", "A_2"]),
        (",_c0,_batch_id", ["_c0_2", "_c0", "_batch_id_2"]),
        ('"a.b","x""y","m\nn"', ["a.b", 'x"y', "m\nn"]),
    ],
)
def test_each_column_of_a_header_is_a_column_of_the_table(feed: NewFeed, header: str, columns: list[str]) -> None:
    rows = feed()
    loaded = rows.load(sniffed(rows, "a.csv", f"{header}\n1,2,3\n"))
    assert list(rows.types()) == columns
    assert [loaded.one()[name] for name in columns] == [1, 2, 3]
    assert loaded.rescued() == []
