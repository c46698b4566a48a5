"""What Spark and Iceberg say, in the product's classes: the class decides whether it is tried again."""

from __future__ import annotations

import pytest
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from autoloader.lib.errors import FatalError, FileError, TransientError, ValueLost
from ingestions.engine.loader.base import LostRace
from ingestions.engine.loader.failures import Contention, commit_failure, read_failure
from ingestions.engine.loader.rows import LOST, MISSING
from ingestions.engine.sources.base import SparkAccess

ACCESS = SparkAccess("al12", "s3")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(org.apache.iceberg.exceptions.CommitFailedException) Table metadata refresh is required", Contention),
        (
            "(org.apache.iceberg.exceptions.CommitFailedException) Version 7 already exists: /x/v7.metadata.json",
            Contention,
        ),
        ("Version 12 already exists", Contention),
        ("Cannot fast-forward: main is not an ancestor of autoloader_1", LostRace),
        ("[TABLE_OR_VIEW_NOT_FOUND] The table or view `a` cannot be found.", FatalError),
    ],
)
def test_of_a_commit(text: str, wanted: type[Exception]) -> None:
    assert isinstance(commit_failure(SparkConnectGrpcException(text), "publishing"), wanted)


@pytest.mark.parametrize(
    ("text", "wanted", "code"),
    [
        (f"[USER_RAISED_EXCEPTION] {LOST} s3://b/in/a b.csv SQLSTATE: P0001", ValueLost, "value_lost"),
        (f"[USER_RAISED_EXCEPTION] {MISSING} shop SQLSTATE: P0001", FatalError, "required_column_empty"),
        ("[PATH_NOT_FOUND] Path does not exist: al12://b/in/a b.csv. SQLSTATE: 42K03", FileError, "file_gone"),
        ("[FAILED_READ_FILE.NO_HINT] Encountered error while reading file al12://b/in/a%20b.csv. EOFException",
         FileError, "file_unreadable"),
    ],
)  # fmt: skip
def test_of_reading(text: str, wanted: type[Exception], code: str) -> None:
    error = read_failure(SparkConnectGrpcException(text), ["s3://b/in/a b.csv", "s3://b/in/a"], ACCESS, "reading")
    assert isinstance(error, wanted)
    assert getattr(error, "code", "") == code
    if isinstance(error, FileError):
        assert error.path == "s3://b/in/a b.csv"


def test_faults_of_our_own_are_not_hidden() -> None:
    fault = KeyError("x")
    assert commit_failure(fault, "publishing") is fault
    ours = TransientError("busy", "Busy.")
    assert read_failure(ours, [], ACCESS, "reading") is ours
