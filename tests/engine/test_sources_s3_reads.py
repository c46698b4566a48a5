"""Small reads past the SDK's machinery, and what listing a folder costs."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from autoloader.lib.errors import FileError
from ingestions.engine.sources.s3 import FOLDER_WEIGHT, S3Source
from tests.engine.stores import FilledBucket
from tests.engine.test_sources_s3_answers import answering, s3
from tests.support.s3 import S3Server

KEYS = ["a b", "a+b", "100%", "%20", "ünï-日本", "[1]", "x:y", "q?", "k=1/#", "{a,b}", "it's", "star*", "c,d", "~t",
        "a&b", "p@q", "d//e", "(x)!", "$;"]  # fmt: skip


@pytest.fixture
def bucket(s3_server: S3Server) -> FilledBucket:
    return FilledBucket(s3_server)


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("the store was asked")


@pytest.mark.cloud
def test_keys_of_any_name_are_read_without_the_sdk(bucket: FilledBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for at, key in enumerate(KEYS):
        bucket.put(f"in/{key}", f"{at:03d} and more".encode())
    with closing(bucket.open()) as source:
        assert isinstance(source, S3Source)
        monkeypatch.setattr(source._client, "get_object", refuse)
        assert [source.read_range(f"{bucket.root}in/{key}", 0, 3) for key in KEYS] == [
            f"{at:03d}".encode() for at in range(len(KEYS))
        ]
        assert source.read_range(f"{bucket.root}in/{KEYS[0]}", -4, 4) == b"more"
        assert source.read_range(f"{bucket.root}in/{KEYS[0]}", 4, 1000) == b"and more"


@pytest.mark.cloud
def test_what_is_no_plain_answer_is_the_sdks_to_tell(bucket: FilledBucket) -> None:
    bucket.put("in/empty", b"")
    with closing(bucket.open()) as source:
        assert source.read_range(f"{bucket.root}in/empty", 0, 10) == b""
        with pytest.raises(FileError) as caught:
            source.read_range(f"{bucket.root}in/gone", 0, 10)
    assert caught.value.code == "file_gone"


def test_a_store_that_knows_no_ranges_hands_out_no_more_than_was_asked_for() -> None:
    with answering(200, b"0123456789" * 100) as url, closing(s3(endpoint_url=url)) as source:
        assert source.read_range("s3://bucket/in/x", 0, 4) == b"0123"


@pytest.mark.cloud
def test_a_folder_weighs_its_objects_and_more_for_each_folder_inside(bucket: FilledBucket) -> None:
    for key in ("in/a", "in/b", "in/c", "in/deep/a", "in/deep/b", "other/a"):
        bucket.put(key, b"x")
    with closing(bucket.open(f"{bucket.root}in/deep/")) as source:  # a folder outside of its own place, too
        assert source.weigh(f"{bucket.root}in/", 1000) == 2 * FOLDER_WEIGHT + 3
        assert source.weigh(f"{bucket.root}other/", 1000) == FOLDER_WEIGHT
        assert source.weigh(f"{bucket.root}none/", 1000) == 0
        assert (source.weigh(f"{bucket.root}in/", 10) or 0) > 10


@pytest.mark.cloud
def test_what_was_listed_already_is_weighed_without_asking(
    bucket: FilledBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("in/a", "in/b", "in/deep/a", "in/deep/b", "in/deeper/c", "in/z", "other/a"):
        bucket.put(key, b"x")
    folders = [f"{bucket.root}{name}" for name in ("in/", "in/deep/", "in/deeper/", "in/none/")]
    with closing(bucket.open(f"{bucket.root}in/")) as source:
        assert isinstance(source, S3Source)
        asked = [source.weigh(folder, 1000) for folder in folders]
        assert len(list(source.list())) == 6
        other = source.weigh(f"{bucket.root}other/", 1000)
        monkeypatch.setattr(source, "_pages", refuse)
        assert [source.weigh(folder, 1000) for folder in folders] == asked
        assert asked == [4 * FOLDER_WEIGHT + 2, FOLDER_WEIGHT + 1, FOLDER_WEIGHT, 0]
        assert other == FOLDER_WEIGHT


@pytest.mark.cloud
def test_a_folder_that_may_not_be_listed_has_no_weight(bucket: FilledBucket) -> None:
    bucket.put("in/a", b"x")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}],
    }
    key, secret = bucket.server.create_user(policy)
    given = {**bucket.server.credentials(), "aws_access_key_id": key, "aws_secret_access_key": secret}
    with closing(bucket.open(credentials=given)) as source:
        assert source.weigh(f"{bucket.root}in/", 1000) is None
