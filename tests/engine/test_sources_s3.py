from __future__ import annotations

import json
import uuid
from contextlib import closing
from typing import Any

import pytest

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError
from ingestions.engine import config
from ingestions.engine.sources import open_source
from tests.engine.stores import LOOPBACK, FilledBucket
from tests.support.s3 import S3Server


@pytest.fixture
def bucket(s3_server: S3Server) -> FilledBucket:
    filled = FilledBucket(s3_server)
    filled.put("in/x.csv", b"a,b\n")
    return filled


def refused(bucket: FilledBucket, **changes: Any) -> AutoloaderError:
    """The error of a listing and of a read with these credentials; both have to be of one code, free of secrets."""
    given = {**bucket.server.credentials(), **changes}
    with closing(bucket.open(credentials=given)) as source:
        with pytest.raises(AutoloaderError) as listing:
            list(source.list())
        with pytest.raises(AutoloaderError) as reading:
            source.read_range(f"{bucket.root}in/x.csv", 0, 4)
    assert listing.value.code == reading.value.code
    for error in (listing.value, reading.value):
        text = f"{error!r} {error} {error.hint} {error.__cause__!r}"
        for secret in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
            assert not given.get(secret) or given[secret] not in text
    return listing.value


@pytest.mark.cloud
def test_a_wrong_secret_key_is_told_from_an_unknown_access_key(bucket: FilledBucket) -> None:
    wrong = refused(bucket, aws_secret_access_key="x" * 40)
    assert (type(wrong), wrong.code) == (AccessError, "wrong_secret_key")
    assert bucket.bucket in wrong.message
    unknown = refused(bucket, aws_access_key_id="AKIA" + "Z" * 16)
    assert (type(unknown), unknown.code) == (AccessError, "unknown_access_key")


@pytest.mark.cloud
def test_a_key_without_rights_is_refused_and_the_rights_are_named(bucket: FilledBucket) -> None:
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    key, secret = bucket.server.create_user(nothing)
    error = refused(bucket, aws_access_key_id=key, aws_secret_access_key=secret)
    assert (type(error), error.code) == (AccessError, "access_denied")
    assert "s3:ListBucket" in error.hint


def make_role(server: S3Server, principal: dict[str, str]) -> str:
    """The ARN of a role that may read everything, and that ``principal`` may assume."""
    iam = server.aws("iam")
    name = f"role-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    documents = [json.dumps({"Version": "2012-10-17", "Statement": [statement]}) for statement in (trust, rights)]
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=documents[0])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=documents[1])
    return str(made["Role"]["Arn"])


@pytest.fixture
def role(s3_server: S3Server) -> str:
    return make_role(s3_server, {"AWS": "*"})


@pytest.mark.cloud
def test_temporary_keys_work_with_their_session_token_only(bucket: FilledBucket, role: str) -> None:
    made = bucket.server.aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    given = {**bucket.server.credentials(), **keys, "aws_session_token": made["SessionToken"]}
    with closing(bucket.open(credentials=given)) as source:
        assert [file.address for file in source.list()] == [f"{bucket.root}in/x.csv"]
        conf = source.spark_access().conf
    assert conf["fs.s3a.session.token"] == made["SessionToken"]
    assert conf["fs.s3a.aws.credentials.provider"].endswith(".TemporaryAWSCredentialsProvider")
    error = refused(bucket, **{**keys, "aws_session_token": "wrong"})
    assert (type(error), error.code) == (AccessError, "expired_token")


@pytest.mark.cloud
def test_a_role_that_does_not_trust_us_is_told_with_what_it_needs(bucket: FilledBucket, s3_server: S3Server) -> None:
    closed = make_role(s3_server, {"AWS": "arn:aws:iam::123456789012:user/somebody-else"})
    with pytest.raises(AccessError) as caught:
        bucket.open(credentials={**bucket.server.credentials(), "role_arn": closed})
    assert caught.value.code == "role_refused"
    assert "trust policy" in caught.value.hint


@pytest.mark.cloud
def test_an_assumed_role_reads_and_spark_gets_its_temporary_keys(bucket: FilledBucket, role: str) -> None:
    given = {**bucket.server.credentials(), "role_arn": role}
    with closing(bucket.open(credentials=given)) as source:
        assert source.read_range(f"{bucket.root}in/x.csv", 0, 9) == b"a,b\n"
        first = source.spark_access()
    assert first.conf["fs.s3a.session.token"]
    assert first.conf["fs.s3a.access.key"] != bucket.server.key
    with closing(bucket.open(credentials=given)) as again:
        assert again.spark_access().scheme == first.scheme, "one alias as long as the role's keys live"


@pytest.mark.cloud
def test_a_role_can_be_assumed_with_the_environments_identity(
    bucket: FilledBucket, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.server.secret)
    given = {"ambient": True, "role_arn": role, "endpoint_url": bucket.server.url}
    with closing(bucket.open(credentials=given)) as source:
        assert len(list(source.list())) == 1
        assert source.spark_access().conf["fs.s3a.session.token"]


@pytest.mark.cloud
def test_the_environments_identity_is_used_only_where_asked_for_and_not_handed_to_spark(
    bucket: FilledBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.server.secret)
    with closing(bucket.open(credentials={"ambient": True, "endpoint_url": bucket.server.url})) as source:
        assert len(list(source.list())) == 1
        conf = source.spark_access().conf
    assert not [key for key in conf if "key" in key or "token" in key or "provider" in key]
    assert bucket.server.key not in str(conf)
    with pytest.raises(ConfigError) as caught:
        bucket.open(credentials={"endpoint_url": bucket.server.url})
    assert caught.value.code == "credentials_missing"


@pytest.mark.cloud
def test_an_environment_without_identity_says_so(bucket: FilledBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with (
        closing(bucket.open(credentials={"ambient": True, "endpoint_url": bucket.server.url})) as source,
        pytest.raises(AccessError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "no_ambient_identity"


@pytest.mark.cloud
def test_folder_markers_of_consoles_are_no_files(bucket: FilledBucket) -> None:
    bucket.put("in/", b"")
    bucket.put("in/empty.csv", b"")
    bucket.put("in/odd/", b"content")
    with closing(bucket.open()) as source:
        keys = [file.address.removeprefix(bucket.root) for file in source.list()]
    assert keys == ["in/empty.csv", "in/odd/", "in/x.csv"]


@pytest.mark.cloud
def test_a_glob_in_the_path_narrows_the_listing_to_what_it_begins_with(bucket: FilledBucket) -> None:
    for key in ("in/2024-01/a.csv", "in/2024-02/a.csv", "in/2023-12/a.csv"):
        bucket.put(key, b"x")
    with closing(bucket.open(f"{bucket.root}in/2024-*/*.csv")) as source:
        keys = [file.address.removeprefix(bucket.root) for file in source.list()]
    assert keys == ["in/2024-01/a.csv", "in/2024-02/a.csv"]


@pytest.mark.cloud
def test_no_repr_shows_a_secret(bucket: FilledBucket) -> None:
    with closing(bucket.open()) as source:
        texts = [repr(source), str(source), repr(source.spark_access()), repr(vars(source))]
    for text in texts:
        assert bucket.server.secret not in text
        assert bucket.server.key not in text


@pytest.mark.cloud
def test_each_endpoint_and_each_key_has_an_alias_of_its_own_that_tells_nothing(bucket: FilledBucket) -> None:
    given = bucket.server.credentials()

    def access(alias_key: str = "k", **changes: Any) -> Any:
        source = config.Source(type="s3", path=bucket.root)
        keys = config.Credentials.model_validate({**given, **changes})
        opened = open_source(source, keys, local_roots=(), allowed_networks=LOOPBACK, alias_key=alias_key)
        with closing(opened):
            return opened.spark_access()

    first = access()
    others = [
        access(aws_secret_access_key="other"),
        access(aws_access_key_id="other"),
        access(endpoint_url=given["endpoint_url"].replace("127.0.0.1", "127.0.0.2")),
        access(region_name="eu-west-1"),
        access(alias_key="another installation"),
    ]
    assert access() == first
    assert len({first.scheme, *(other.scheme for other in others)}) == 6
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert first.ledger_scheme == "s3"
    assert first.scheme.isalnum()
    assert first.scheme.islower()
    assert dict(first.conf) == {
        f"fs.{first.scheme}.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3a.access.key": given["aws_access_key_id"],
        "fs.s3a.secret.key": given["aws_secret_access_key"],
        "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "fs.s3a.endpoint": given["endpoint_url"],
        "fs.s3a.endpoint.region": "us-east-1",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
        "fs.s3a.attempts.maximum": "5",
        "fs.s3a.connection.establish.timeout": "10000",
    }
