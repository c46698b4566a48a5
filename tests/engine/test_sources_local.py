from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloader.lib.errors import AccessError, ConfigError, FileError, TransientError
from ingestions.engine import config
from ingestions.engine.sources import available_types, no_access, open_source, validate
from ingestions.engine.sources.base import Source


def local(path: str | Path, *roots: Path) -> Source:
    source = config.Source(type="local", path=str(path))
    return open_source(source, None, local_roots=[str(root) for root in roots], allowed_networks=(), alias_key="k")


def names(source: Source) -> list[str]:
    return [file.address.rpartition("/")[2] for file in source.list()]


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """An allowed folder, and one beside it that is not."""
    allowed, closed = tmp_path / "allowed", tmp_path / "allowed-not"
    allowed.mkdir()
    closed.mkdir()
    (closed / "secret.csv").write_text("s")
    return allowed, closed


def test_a_folder_outside_the_roots_is_refused_even_where_its_name_begins_alike(roots: tuple[Path, Path]) -> None:
    allowed, closed = roots
    for path in (closed, closed / "secret.csv", "/", "/etc"):
        with pytest.raises(ConfigError) as caught:
            local(path, allowed)
        assert caught.value.code == "outside_local_roots"
        assert "AUTOLOADER_LOCAL_ROOTS" in caught.value.hint
        assert caught.value.field == "source.path"


def test_without_roots_nothing_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        local(tmp_path)


@pytest.mark.parametrize(
    "path", ["relative/in", "~/in", "file://server/in", "/data/../etc/", "/data/./x", "/a\0b", "s3://b/x"]
)
def test_paths_that_are_not_plain_and_absolute_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        local(path, Path("/"))
    assert caught.value.code == "invalid_path"


def test_a_plain_path_and_its_url_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "x y%20.csv").write_text("x")
    for path in (
        str(tmp_path),
        f"file://{tmp_path}",
        f"file://{tmp_path}/",
        f"file://localhost{tmp_path}",
        f"file:{tmp_path}",
    ):
        (file,) = local(path, tmp_path).list()
        assert file.address == f"file://{tmp_path}/x y%20.csv"


def test_links_are_followed_within_the_roots_and_never_out_of_them(roots: tuple[Path, Path]) -> None:
    allowed, closed = roots
    (allowed / "deep").mkdir()
    (allowed / "deep" / "real.csv").write_text("x")
    (allowed / "link.csv").symlink_to(allowed / "deep" / "real.csv")
    (allowed / "folder").symlink_to(allowed / "deep")
    (allowed / "out.csv").symlink_to(closed / "secret.csv")
    (allowed / "outside").symlink_to(closed)
    (allowed / "broken.csv").symlink_to(allowed / "nowhere")
    listed = [file.address.removeprefix(f"file://{allowed}/") for file in local(allowed, allowed).list()]
    assert listed == ["deep/real.csv", "folder/real.csv", "link.csv"]


def test_a_link_into_a_folder_above_is_no_endless_walk(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x.csv").write_text("x")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    assert names(local(tmp_path, tmp_path)) == ["x.csv"]


def test_an_address_that_leads_out_of_the_roots_is_neither_shown_nor_read(roots: tuple[Path, Path]) -> None:
    allowed, closed = roots
    (allowed / "out.csv").symlink_to(closed / "secret.csv")
    source = local(allowed, allowed)
    for address in (
        f"file://{allowed}/out.csv",
        f"file://{closed}/secret.csv",
        f"file://{allowed}/../allowed-not/secret.csv",
    ):
        assert source.stat(address) is None
        with pytest.raises(FileError):
            source.read_range(address, 0, 10)


def test_a_root_that_is_a_link_itself_works(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    (real / "x.csv").write_text("x")
    (file,) = local(link, link).list()
    assert file.address == f"file://{link}/x.csv"


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x.csv").write_text("x")
    assert names(local(tmp_path, tmp_path)) == ["x.csv"]


def test_a_name_that_is_not_utf8_is_listed_and_its_reading_says_what_to_do(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.csv")).write_text("x")
    source = local(tmp_path, tmp_path)
    (file,) = source.list()
    assert file.address.encode() == f"file://{tmp_path}/bad\\xff.csv".encode()
    with pytest.raises(FileError) as caught:
        source.read_range(file.address, 0, 1)
    assert caught.value.code == "name_not_utf8"


@pytest.fixture
def no_superuser() -> Iterator[None]:
    """For the time of the test this process has nobody's rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_an_access_error(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "x.csv").write_text("x")
    (tmp_path / "x.csv").chmod(0)
    source = local(tmp_path, tmp_path)
    request.getfixturevalue("no_superuser")
    with pytest.raises(AccessError) as caught:
        source.read_range(f"file://{tmp_path}/x.csv", 0, 1)
    assert caught.value.code == "access_denied"


def test_a_disk_that_fails_is_worth_another_try() -> None:
    # reading the first page of a process's memory is an input/output error
    with pytest.raises(TransientError) as caught:
        local("/proc/self", Path("/proc")).read_range(f"file:///proc/{os.getpid()}/mem", 0, 1)
    assert caught.value.code == "read_failed"


def test_a_line_break_in_a_name_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "line\nbreak.csv").write_text("x")
    source = local(tmp_path, tmp_path)
    (file,) = source.list()
    assert file.address == f"file://{tmp_path}/line\nbreak.csv"
    assert source.read_range(file.address, 0, 9) == b"x"


def test_spark_reads_local_files_without_any_configuration(tmp_path: Path) -> None:
    access = local(tmp_path, tmp_path).spark_access()
    assert (access.scheme, access.ledger_scheme, dict(access.conf)) == ("file", "file", {})


def test_a_type_that_is_not_there_yet_says_so() -> None:
    for type_ in ("gcs", "azure_blob"):
        source = config.Source(type=type_, path="gs://bucket/x")
        with pytest.raises(ConfigError) as caught:
            open_source(source, None, local_roots=(), allowed_networks=(), alias_key="k")
        assert caught.value.code == "source_not_available"
        with pytest.raises(ConfigError):
            validate(source, None, local_roots=())
    assert available_types() == ("local", "s3")


def test_validating_checks_path_and_patterns_without_the_folder_being_there(tmp_path: Path) -> None:
    good = config.Source(type="local", path=f"{tmp_path}/later/*.csv", file_pattern="*.{csv,gz}")
    validate(good, None, local_roots=[str(tmp_path)])
    bad = good.model_copy(update={"file_pattern": "[9-0].csv"})
    with pytest.raises(ConfigError) as caught:
        validate(bad, None, local_roots=[str(tmp_path)])
    assert caught.value.field == "source.file_pattern"


def test_a_table_is_looked_at_without_access_to_its_files() -> None:
    access = no_access(config.Source(type="s3", path="s3://bucket/x/"))
    assert (access.scheme, access.ledger_scheme, dict(access.conf)) == ("s3", "s3", {})
