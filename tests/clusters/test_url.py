"""Spark Connect URLs: every part is kept, the token apart, and what is wrong is named without it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloader.lib.errors import ConfigError
from clusters.url import parse

PORT = 15002


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sc://spark", "sc://spark:15002"),
        ("  sc://Spark.Example.com/  ", "sc://spark.example.com:15002"),
        ("SC://spark:443/;use_ssl=true;user_id=me", "sc://spark:443/;use_ssl=true;user_id=me"),
        ("sc://[::1]:9/", "sc://[::1]:9"),
        ("sc://[2001:DB8::1]", "sc://[2001:db8::1]:15002"),
        ("sc://10.0.0.5:1;", None),
        ("sc://bücher.example:1", "sc://xn--bcher-kva.example:1"),
        ("sc://spark/;x-header=a%3Db;cluster=one%20two", "sc://spark:15002/;x-header=a=b;cluster=one%20two"),
    ],
)
def test_urls_are_written_in_one_way(text: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(ConfigError):
            parse(text, default_port=PORT)
    else:
        assert str(parse(text, default_port=PORT)) == shown


def test_the_token_is_kept_apart() -> None:
    parts = parse("sc://spark/;user_id=me;token=very%3Dsecret;cluster=a", default_port=PORT)
    assert parts.token == "very=secret"
    assert "secret" not in str(parts)
    assert "secret" not in repr(parts)
    assert dict(parts.params) == {"user_id": "me", "cluster": "a"}


@pytest.mark.parametrize(
    "text",
    [
        "", "spark:15002", "http://spark", "sc://", "sc://:15002", "sc://spark:0", "sc://spark:65536", "sc://spark:x",
        "sc://a b", "sc://spark/path", "sc://spark/path;token=secret", "sc://me:secret@spark", "sc://spark?token=secret",
        "sc://spark/;secret", "sc://spark/;token=secret;token=secret", "sc://spark/;use_ssl=yes;token=secret",
        "sc://[::1", "sc://::1", "sc://999.1.1.1", "sc://-spark", "sc://spark/;a=%0Asecret", "sc://spark/;session_id=x",
        "sc://spark#x", "sc://" + "a" * 300,
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_without_any_secret(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, default_port=PORT)
    error = raised.value
    assert error.field == "spark_connect_url"
    assert error.hint
    assert "secret" not in f"{error}"


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parts = parse("sc://" + text, default_port=PORT)
    except ConfigError:
        return
    assert str(parse(str(parts), default_port=PORT)) == str(parts)
