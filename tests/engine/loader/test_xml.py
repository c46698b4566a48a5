"""XML documents to rows: attributes, nested elements, repeated ones, and text beside them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from autoloader.lib.errors import FileError
from tests.engine.loader.feed import OLD, Feed

pytestmark = pytest.mark.spark
NewFeed = Callable[..., Feed]

ORDERS = """<?xml version="1.0" encoding="UTF-8"?>
<!-- orders of a day -->
<orders xmlns:x="urn:x">
  <order id="1"><code>007</code><who age="5">Ann</who><item>one</item><item>two</item><x:note>hi</x:note>
    <n>1.50</n></order>
  <order id="2"><code>12</code><who>Bob</who><item>one</item><gone/><n>2</n><text><![CDATA[a<b & c]]></text></order>
</orders>
"""


def test_attributes_elements_and_lists_are_columns_with_their_types(feed: NewFeed) -> None:
    orders = feed("xml")
    loaded = orders.load(orders.sniffed("a.xml", ORDERS))
    assert orders.types() == {
        "_id": "bigint",
        "code": "string",  # 007 is no number
        "gone": "string",
        "item": "array<string>",
        "n": "double",
        "text": "string",
        "who": "struct<_VALUE:string,_age:bigint>",
        "x:note": "string",
    }
    first, second = sorted(loaded.rows, key=lambda row: row["_id"])
    assert (first["code"], first["item"], first["who"]) == ("007", ["one", "two"], {"_VALUE": "Ann", "_age": 5})
    assert (first["x:note"], first["n"], second["n"]) == ("hi", 1.5, 2.0)
    assert (second["item"], second["who"], second["text"]) == (["one"], {"_VALUE": "Bob", "_age": None}, "a<b & c")
    assert loaded.rescued() == []
    assert first["_source_file"].endswith("/a.xml")


def test_an_element_that_comes_once_or_bare_still_fits_what_the_table_has(feed: NewFeed) -> None:
    orders = feed("xml")
    orders.load(orders.sniffed("a.xml", ORDERS))
    row = orders.load(
        orders.sniffed("b.xml", "<orders><order id='3'><who>Cy</who><item>x</item></order></orders>")
    ).one()
    assert (row["_id"], row["who"], row["item"]) == (3, {"_VALUE": "Cy", "_age": None}, ["x"])
    assert row["_rescued_data"] is None


def test_what_no_column_takes_is_rescued_with_its_nested_parts(feed: NewFeed) -> None:
    orders = feed("xml", format={"schema": {"evolution_mode": "rescue"}})
    orders.load(orders.sniffed("a.xml", "<o><r><id>1</id><when>2024-01-05</when></r></o>"))
    assert orders.types() == {"id": "bigint", "when": "date"}
    loaded = orders.load(
        orders.sniffed(
            "b.xml", "<o><r><id>x7</id><when zone='Z'>2024-01-06</when><more><deep k='1'>v</deep></more></r></o>"
        ),
        evolve=False,
    )
    (rescued,) = loaded.rescued()
    assert rescued["id"] == "x7"
    assert json.loads(rescued["when"]) == {"_VALUE": "2024-01-06", "_zone": "Z"}
    assert json.loads(rescued["more"]) == {"deep": {"_VALUE": "v", "_k": "1"}}


def test_a_malformed_row_is_rescued_and_its_neighbours_are_rows(feed: NewFeed) -> None:
    orders = feed("xml", format={"options": {"row_tag": "r"}})
    loaded = orders.load(orders.sniffed("a.xml", "<o>\n<r><a>1</a></r>\n<r><a>2</b></r>\n<r><a>3</a></r>\n</o>"))
    assert sorted(row["a"] for row in loaded.rows if row["a"] is not None) == [1, 3]
    assert loaded.rescued() == [{"_corrupt_record": "<r><a>2</b></r>"}]


def test_a_document_whose_elements_differ_is_one_row(feed: NewFeed) -> None:
    page = feed("xml")
    row = page.load(page.sniffed("a.xml", "<page><title>T</title><entry>1</entry><entry>2</entry></page>")).one()
    assert (row["title"], row["entry"]) == ("T", [1, 2])


def test_the_row_tag_can_be_set_and_has_to_be_there(feed: NewFeed) -> None:
    page = feed("xml", format={"options": {"row_tag": "entry"}})
    text = "<page><title>T</title><entry><a>1</a></entry><entry><a>2</a></entry></page>"
    assert sorted(row["a"] for row in page.load(page.sniffed("a.xml", text)).rows) == [1, 2]
    with pytest.raises(FileError, match="no element <entry>") as raised:
        page.sniffed("b.xml", "<page><title>T</title></page>")
    assert raised.value.code == "row_tag_missing"


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "windows-1252", "UTF-16"])
def test_the_declared_encoding_counts(feed: NewFeed, encoding: str) -> None:
    word = "größe" if encoding == "ISO-8859-1" else "größe €"
    text = f'<?xml version="1.0" encoding="{encoding}"?><o><r><a>{word}</a></r><r><a>b</a></r></o>'
    letters = feed("xml")
    loaded = letters.load(letters.sniffed("a.xml", text.encode("cp1252" if encoding == "windows-1252" else encoding)))
    assert sorted(row["a"] for row in loaded.rows) == sorted([word, "b"])


def test_texts_that_mean_nothing_and_local_numbers(feed: NewFeed) -> None:
    prices = feed(
        "xml", format={"options": {"null_values": ["n/a"], "decimal_separator": ",", "date_format": "dd.MM.yyyy"}}
    )
    loaded = prices.load(
        prices.sniffed("a.xml", "<o><r><p>1,5</p><d>05.01.2024</d></r><r><p>n/a</p><d>06.01.2024</d></r></o>")
    )
    assert prices.types() == {"d": "date", "p": "double"}
    assert sorted(str(row["p"]) for row in loaded.rows) == ["1.5", "None"]
    assert loaded.rescued() == []


def test_the_word_null_and_an_element_called_like_ours(feed: NewFeed) -> None:
    odd = feed("xml")
    loaded = odd.load(
        odd.sniffed("a.xml", "<o><r><_batch_id>x</_batch_id><corrupt>null</corrupt></r><r><a>1</a></r></o>")
    )
    assert [row["corrupt"] for row in loaded.rows if row["corrupt"]] == ["null"]
    assert loaded.rescued() == [{"_batch_id": "x"}]


def test_text_beside_elements_is_kept(feed: NewFeed) -> None:
    page = feed("xml", format={"options": {"row_tag": "r"}})
    entry = page.sniffed("a.xml", "<o><r><p>Hello <b>bold</b> world</p></r></o>")
    if OLD:  # its reader would leave the text out
        with pytest.raises(FileError, match="text beside elements"):
            page.load(entry)
        return
    row = page.load(entry).one()
    assert row["p"] == {"_VALUE": ["Hello", "world"], "b": "bold"}


def test_a_web_page_is_no_data(feed: NewFeed) -> None:
    with pytest.raises(FileError) as raised:
        feed("xml").sniffed("a.xml", "<!DOCTYPE html><html><body>Not found</body></html>")
    assert raised.value.code == "looks_like_html"
    with pytest.raises(FileError) as raised:
        feed("xml").sniffed("b.xml", "id,name\n1,Ann\n")
    assert raised.value.code == "not_xml"
