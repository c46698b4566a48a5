"""Options of a format: where they belong, and what they may be."""

from __future__ import annotations

from typing import Any

import pytest

from autoloader.lib.errors import ConfigError
from ingestions.engine import config, formats
from ingestions.engine.formats.options import records_path


def given(type_: str, **options: Any) -> config.Format:
    return config.Format.model_validate({"type": type_, "options": options})


#: what clients put into every body, whatever the format.
ALWAYS = {"multiline": False, "compression": None, "header": True, "delimiter": ",", "quote": '"', "encoding": "UTF-8"}


@pytest.mark.parametrize("type_", formats.AVAILABLE)
def test_the_options_of_the_contract_are_taken_for_every_format(type_: str) -> None:
    formats.validate(given(type_, **ALWAYS))


@pytest.mark.parametrize(
    ("option", "value", "types"),
    [
        ("skip_lines", 1, "csv"),
        ("comment", "#", "csv"),
        ("escape", "\\", "csv"),
        ("null_value", "-", "csv xml"),
        ("null_values", ["-"], "csv xml"),
        ("decimal_separator", ",", "csv xml"),
        ("thousands_separator", "'", "csv xml"),
        ("date_format", "dd.MM.yyyy", "csv xml json"),
        ("timestamp_format", "dd.MM.yyyy HH:mm:ss", "csv xml json"),
        ("row_tag", "order", "xml"),
        ("records_path", "Records[*]", "json"),
        ("compression", "gzip", "csv json xml text"),
    ],
)
def test_an_option_is_refused_where_it_means_nothing(option: str, value: object, types: str) -> None:
    for type_ in formats.AVAILABLE:
        if type_ in (*types.split(), "auto"):
            formats.validate(given(type_, **{option: value}))
            continue
        with pytest.raises(ConfigError) as raised:
            formats.validate(given(type_, **{option: value}))
        assert (raised.value.code, raised.value.field) == ("foreign_option", f"format.options.{option}")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("Records[*]", ("Records",)),
        ("features[*]", ("features",)),
        (" data.items[*] ", ("data", "items")),
        ("$.a.b-c[*]", ("a", "b-c")),
    ],
)
def test_a_path_of_records_is_keys(path: str, keys: tuple[str, ...]) -> None:
    format_ = given("json", records_path=path)
    formats.validate(format_)
    assert records_path(format_.options) == keys


@pytest.mark.parametrize("path", ["", "Records", "[*]", "a..b[*]", "a[*].b[*]", "a[0]", "a b[*]", "a[*];drop"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ConfigError) as raised:
        formats.validate(given("json", records_path=path))
    assert raised.value.field == "format.options.records_path"


@pytest.mark.parametrize(
    "pattern", ["dd.MM.yyyy", "d/M/yy", "yyyyMMdd", "MMMM d, yyyy", "yyyy-DDD", "dd 'de' MMM yyyy"]
)
def test_patterns_of_dates_that_keep_all_that_a_text_says(pattern: str) -> None:
    formats.validate(given("csv", date_format=pattern))


@pytest.mark.parametrize(
    "pattern",
    ["dd.MM.yyyy HH:mm[:ss]", "MM/dd/yyyy hh:mm a", "dd/MMM/yyyy:HH:mm:ss Z", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"],
)
def test_patterns_of_times(pattern: str) -> None:
    formats.validate(given("csv", timestamp_format=pattern))
