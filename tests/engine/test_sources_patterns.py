from __future__ import annotations

import contextlib
import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloader.lib.errors import ConfigError
from ingestions.engine import config
from ingestions.engine.sources.automaton import Automaton
from ingestions.engine.sources.location import Location, locate
from ingestions.engine.sources.patterns import add_pattern, literal_start, select, split_glob


def matches(pattern: str | None, key: str, glob: str | None = None) -> bool:
    return select(glob, pattern, None).matches(key)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (None, ["a", "b/c.csv"], []),
        ("*.csv", ["a.csv", "deep/er/a.csv", ".csv", "a\nb.csv"], ["a.CSV", "a.csv.gz", "a.csv/b"]),
        ("2024/*.csv", ["2024/a.csv"], ["x/2024/a.csv", "2024/01/a.csv", "a.csv"]),
        ("/2024/*.csv", ["2024/a.csv"], ["/2024/a.csv"]),
        ("**/a.csv", ["a.csv", "x/a.csv", "x/y/a.csv"], ["ba.csv", "x/ba.csv"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xa", "y/x/a"]),
        ("x/**/a.csv", ["x/a.csv", "x/y/z/a.csv"], ["xa.csv", "x/ya.csv"]),
        ("x/a**z", ["x/az", "x/a/b/z"], ["x/a"]),
        ("a?.csv", ["ab.csv", "a*.csv"], ["a.csv", "abc.csv"]),
        ("d/a?b", ["d/axb"], ["d/a/b"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "Ax"]),
        ("[!a-c]x", ["dx"], ["ax", "/x"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("[]]x", ["]x"], ["x"]),
        ("[a&&b|~]", ["a", "&", "|", "~"], ["c"]),
        ("[.-0]x", [".x", "0x"], ["/x"]),
        ("[a", ["[a"], ["a"]),
        ("*.{csv,tsv}", ["a.csv", "b/a.tsv"], ["a.xls", "a.{csv,tsv}"]),
        ("{a,b{1,2}}.x", ["a.x", "b1.x", "b2.x"], ["b.x", "ab1.x"]),
        ("{a{b},c}", ["a{b}", "c"], ["ab", "a{b"]),
        ("{,old-}x", ["x", "old-x"], ["new-x"]),
        ("{x/y,z}/a", ["x/y/a", "z/a"], ["y/a"]),
        ("{**/x,y}/a", ["x/a", "q/x/a", "y/a"], ["q/y/a"]),
        ("{a}", ["{a}"], ["a"]),
        ("a,b}", ["a,b}"], ["a"]),
        (r"\*.csv", ["*.csv"], ["a.csv"]),
        (r"\[1\]", ["[1]"], ["1"]),
        ("a.b+c(d)$^", ["a.b+c(d)$^"], ["axb+c(d)$^"]),
        ("grüße-*", ["grüße-日本"], ["grusse-x"]),
    ],
)
def test_what_a_pattern_means(pattern: str | None, yes: list[str], no: list[str]) -> None:
    assert [key for key in yes if not matches(pattern, key)] == []
    assert [key for key in no if matches(pattern, key)] == []


@pytest.mark.parametrize(
    ("glob", "pattern", "yes", "no"),
    [
        ("2024-*", None, ["2024-01.csv", "2024-01/a.csv", "2024-01/x/a.csv"], ["2023/a.csv", "x/2024-01.csv"]),
        ("2024-*", "*.csv", ["2024-01.csv", "2024-01/a.csv", "2024-01/x/a.csv"], ["2024-01.txt", "2024-01/a.txt"]),
        ("2024-*/", "*.csv", ["2024-01/a.csv", "2024-01/x/a.csv"], ["2024-01.csv"]),
        ("*/in", "a/*.csv", ["x/in/a/b.csv"], ["x/in/b.csv", "x/in/y/a/b.csv"]),
        ("**/", "*.csv", ["a.csv", "x/y/a.csv"], ["a.txt"]),
        ("**", "*.csv", ["a.csv", "x/a.csv"], ["a.txt"]),
        ("*.csv", None, ["a.csv"], ["x/a.csv"]),
        ("{a,b}/*.csv", None, ["a/x.csv", "b/x.csv"], ["c/x.csv", "a/y/x.csv"]),
    ],
)
def test_a_glob_in_the_path_names_folders_or_files(
    glob: str, pattern: str | None, yes: list[str], no: list[str]
) -> None:
    assert [key for key in yes if not matches(pattern, key, glob)] == []
    assert [key for key in no if matches(pattern, key, glob)] == []


def test_an_exclude_pattern_follows_the_same_rules() -> None:
    selection = select(None, None, "tmp/**")
    assert selection.excludes("tmp/a")
    assert not selection.excludes("x/tmp/a")
    assert not select(None, None, None).excludes("a")


def means(pattern: str, name: str) -> bool:
    automaton = Automaton()
    add_pattern(automaton, pattern)
    return automaton.matches(name)


PLAIN = st.text(st.characters(blacklist_characters="*?[]{}\\/,", blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(PLAIN, min_size=1, max_size=4).map("/".join))
def test_a_name_without_wildcards_means_itself_only(key: str) -> None:
    assert means(key, key)
    assert not means(key, key + "x")
    assert not means(key, "x" + key)


@given(
    st.lists(st.one_of(st.sampled_from(["*", "?", "[ab]", "[!ab]"]), st.sampled_from("ab.")), max_size=8).map("".join),
    st.text("ab./", max_size=10),
)
def test_within_a_folder_it_agrees_with_the_shell(pattern: str, name: str) -> None:
    assert means(re.sub(r"\*+", "*", pattern), name) == ("/" not in name and fnmatch.fnmatchcase(name, pattern))


@given(st.text("ab/*?[]{},!\\-", max_size=14), st.text("ab/*?[]{},!\\-", max_size=10))
def test_any_text_is_a_pattern_or_is_refused_with_a_reason(pattern: str, key: str) -> None:
    with contextlib.suppress(ConfigError):  # any other error is one
        selection = select(None, pattern, pattern)
        assert selection.matches(key) == selection.excludes(key) or not pattern


@given(st.text("ab/*?[]{},!\\-.", max_size=20))
def test_splitting_a_path_loses_nothing(path: str) -> None:
    folder, glob = split_glob(path)
    plain = re.sub(r"\\(.)", r"\1", path, flags=re.DOTALL)
    if glob is None:
        assert folder == plain
    else:
        assert folder + re.sub(r"\\(.)", r"\1", glob, flags=re.DOTALL) == plain
        assert folder in ("", plain[: len(folder)])
        assert folder == "" or folder.endswith("/")
        assert re.sub(r"\\(.)", r"\1", glob, flags=re.DOTALL).startswith(literal_start(glob))


def test_a_pattern_that_no_person_writes_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        select(None, "a" * 1025, None)
    assert caught.value.code == "pattern_too_complex"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pattern", ["*a" * 500 + "b", "**/a*" * 200, "{a*,*a}" * 140, "{a,{a,{a,a}}}" * 70, "[a-z]*" * 160 + "[!a-z]"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """A matcher that goes back over a name would need longer than the world is old."""
    selection = select("**/" + "*a" * 100, pattern + "b", pattern)
    assert not selection.matches("a" * 1000 + "/" + "a" * 1000 + "1")
    assert not selection.matches_any_case("A" * 1000 + "1")
    selection.excludes("a" * 1000)


@pytest.mark.parametrize(
    ("type_", "path", "base", "glob", "open_end", "prefix"),
    [
        ("s3", "s3://bucket", "s3://bucket/", None, False, ""),
        ("s3", "s3://bucket/", "s3://bucket/", None, False, ""),
        ("s3", "s3://bucket/in", "s3://bucket/in/", None, True, "in/"),
        ("s3", "s3://bucket/in/", "s3://bucket/in/", None, False, "in/"),
        ("s3", "s3://bucket/in/2024-*/x.csv", "s3://bucket/in/", "2024-*/x.csv", False, "in/2024-"),
        ("s3", "s3://bucket/*.csv", "s3://bucket/", "*.csv", False, ""),
        ("s3", r"s3://bucket/\[1\]/a b%20+/", "s3://bucket/[1]/a b%20+/", None, False, "[1]/a b%20+/"),
        ("local", "/", "file:///", None, False, ""),
        ("local", "/data//in", "file:///data/in/", None, True, "data/in/"),
        ("local", "file:///data/in/**/*.csv", "file:///data/in/", "**/*.csv", False, "data/in/"),
        ("local", "file:///data/a%20b", "file:///data/a%20b/", None, True, "data/a%20b/"),
    ],
)
def test_a_path_is_taken_apart(type_: str, path: str, base: str, glob: str | None, open_end: bool, prefix: str) -> None:
    location = locate(config.Source.model_validate({"type": type_, "path": path}))
    assert (location, location.prefix) == (Location(base, glob, open_end), prefix)


def test_keys_are_relative_to_the_folder() -> None:
    location = Location("s3://bucket/in/")
    assert location.relative("s3://bucket/in/a/b.csv") == "a/b.csv"
    assert location.relative("s3://bucket/in") == "in"
