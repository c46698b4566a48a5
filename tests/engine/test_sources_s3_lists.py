"""Pages of a listing as they are read without the SDK: the same as with it, or left to it."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote_plus

import pytest

from ingestions.engine.sources.s3_lists import Entry, Page, of_sdk, read

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def body(*inside: str, more: str = "false", namespace: str = NAMESPACE, head: str = "") -> bytes:
    text = "".join(inside)
    return (
        f'<?xml version="1.0"?><ListBucketResult{namespace}>{head}<IsTruncated>{more}</IsTruncated>{text}'
        "</ListBucketResult>"
    ).encode()


def entry(key: str, size: object = 3, at: str = "2026-01-02T03:04:05.000Z") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{at}</LastModified><ETag>&quot;e1&quot;</ETag>"
        f"<Size>{size}</Size></Contents>"
    )


ENCODED = "<EncodingType>url</EncodingType>"


@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_a_page_is_read_with_its_objects_folders_and_token(namespace: str) -> None:
    page = read(
        body(
            entry("in/a.csv"),
            "<CommonPrefixes><Prefix>in/b/</Prefix></CommonPrefixes>",
            "<NextContinuationToken>t=+/</NextContinuationToken>",
            more="true",
            namespace=namespace,
        )
    )
    assert page == Page([Entry("in/a.csv", 3, AT, "e1")], ["in/b/"], "t=+/")


@pytest.mark.parametrize("name", ["a b+c%25.csv", "grüße-日本-🚀.csv", 'it\'s "odd"\n\t.csv', "a&b<c>.csv", "100%.csv"])
def test_names_are_decoded_where_the_store_says_that_it_has_encoded_them(name: str) -> None:
    page = read(body(entry(quote_plus(name)), head=ENCODED))
    assert page is not None
    assert [each.key for each in page.entries] == [name]


def test_names_of_a_store_that_does_not_encode_are_as_they_are() -> None:
    page = read(body(entry("a+b%20c.csv")))
    assert page is not None
    assert page.entries[0].key == "a+b%20c.csv"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no XML",
        b"<Error><Code>SlowDown</Code></Error>",
        body(entry("a.csv"))[:-20],
        body(entry("a.csv"), more="true"),
        body("<Contents><Key>a.csv</Key><Size>1</Size></Contents>"),
        body(entry("a.csv", size="many")),
        body(entry("a.csv", at="2026-01-02T03:04:05")),
        body(entry("a.csv", at="yesterday")),
        body(entry("")),
    ],
)
def test_what_is_no_plain_page_is_left_to_the_sdk(answer: bytes) -> None:
    assert read(answer) is None


def test_the_sdks_answer_has_the_same_form() -> None:
    answer = {
        "Contents": [{"Key": "a.csv", "Size": 3, "LastModified": AT, "ETag": '"e1"'}],
        "CommonPrefixes": [{"Prefix": "b/"}],
        "IsTruncated": True,
        "NextContinuationToken": "t",
    }
    assert of_sdk(answer) == Page([Entry("a.csv", 3, AT, "e1")], ["b/"], "t")
    assert of_sdk({"IsTruncated": False}) == Page([], [], None)
