from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, FileError, TransientError
from autoloader.lib.processes import free_port
from ingestions.engine import config
from ingestions.engine.sources import open_source, validate
from ingestions.engine.sources.base import Source
from ingestions.engine.sources.s3_errors import translated
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


def s3(path: str = "s3://bucket/in/", **credentials: Any) -> Source:
    source = config.Source(type="s3", path=path)
    keys = config.Credentials.model_validate({"aws_access_key_id": "k", "aws_secret_access_key": "s", **credentials})
    return open_source(source, keys, local_roots=(), allowed_networks=LOOPBACK, alias_key="k")


def test_an_endpoint_in_a_private_network_needs_the_operators_word() -> None:
    source = config.Source(type="s3", path="s3://bucket/")
    for endpoint, code in (
        ("http://127.0.0.1:9000", "private_endpoint"),
        ("http://169.254.169.254", "closed_endpoint"),
    ):
        keys = config.Credentials(aws_access_key_id="k", aws_secret_access_key="s", endpoint_url=endpoint)
        with pytest.raises(ConfigError) as caught:
            open_source(source, keys, local_roots=(), allowed_networks=(), alias_key="k")
        assert caught.value.code == code


def test_path_style_follows_the_endpoint_unless_it_is_given() -> None:
    def style(path: str = "s3://bucket/", **credentials: Any) -> str:
        with closing(s3(path, region_name="eu-west-1", **credentials)) as source:
            return source.spark_access().conf["fs.s3a.path.style.access"]

    assert style() == "false"
    assert style("s3://with.dots/") == "true"
    assert style(endpoint_url="http://127.0.0.1:9000") == "true"
    assert style(endpoint_url="http://127.0.0.1:9000", path_style=False) == "false"


def test_tls_is_off_only_for_a_plain_endpoint() -> None:
    with closing(s3(endpoint_url="https://127.0.0.1:9000")) as source:
        assert source.spark_access().conf["fs.s3a.connection.ssl.enabled"] == "true"
    with closing(s3(region_name="eu-central-1")) as source:
        conf = source.spark_access().conf
    assert conf["fs.s3a.endpoint.region"] == "eu-central-1"
    assert "fs.s3a.endpoint" not in conf


def test_an_endpoint_that_does_not_answer_may_answer_later() -> None:
    with (
        closing(s3(endpoint_url=f"http://127.0.0.1:{free_port()}")) as source,
        pytest.raises(TransientError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "storage_unreachable"
    assert "endpoint_url" in caught.value.hint


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """An HTTP server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error_body(code: str, message: str = "m") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "answer", "class_", "code"),
    [
        (403, "RequestTimeTooSkewed", AccessError, "clock_skew"),
        (400, "ExpiredToken", AccessError, "expired_token"),
        (400, "AuthorizationHeaderMalformed", ConfigError, "wrong_region"),
        (404, "NoSuchKey", FileError, "file_gone"),
        (403, "InvalidObjectState", FileError, "archived_object"),
        (400, "KMS.DisabledException", AccessError, "kms_denied"),
        (403, "SomethingNew", AccessError, "access_denied"),
        (409, "SomethingElse", AccessError, "storage_refused"),
    ],
)
def test_each_answer_of_the_store_is_told_apart(status: int, answer: str, class_: type[Exception], code: str) -> None:
    with (
        answering(status, error_body(answer), Content_Type="application/xml") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(AutoloaderError) as caught,
    ):
        source.read_range("s3://bucket/in/x.csv", 0, 10)
    assert (type(caught.value), caught.value.code) == (class_, code)
    assert "s3://bucket/in/x.csv" in caught.value.message
    assert caught.value.hint


def test_a_store_that_is_busy_may_answer_later() -> None:
    with (
        answering(503, error_body("SlowDown")) as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(TransientError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "storage_busy"


def test_the_right_region_is_named_where_the_store_tells_it() -> None:
    body = error_body("PermanentRedirect")
    with (
        answering(301, body, x_amz_bucket_region="eu-west-3") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(ConfigError, match="eu-west-3") as caught,
    ):
        list(source.list())
    assert caught.value.code == "wrong_region"


def test_a_web_page_in_place_of_a_store_is_told() -> None:
    with (
        answering(200, b"<html><p>Welcome", Content_Type="text/html") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(ConfigError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "not_s3"


def test_a_connection_that_breaks_in_the_middle_is_tried_again_and_then_told() -> None:
    with (
        answering(200, b"half", Content_Length="4000") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(TransientError) as caught,
    ):
        source.read_range("s3://bucket/in/x.csv", 0, 4000)
    assert caught.value.code == "connection_lost"


def test_what_the_store_says_is_quoted_without_our_secrets() -> None:
    from botocore.exceptions import ClientError

    answer: Any = {"Error": {"Code": "AccessDenied", "Message": "the key KEYID with TOPSECRET may not"}}
    with pytest.raises(AccessError) as caught, translated("s3://b/x", ("KEYID", "TOPSECRET")):
        raise ClientError(answer, "GetObject")
    assert "It says: the key *** with *** may not" in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("bucket/in/", "s3://"),
        ("gs://bucket/in/", "s3://"),
        ("s3://", "bucket"),
        ("s3:///in/", "bucket"),
        ("s3://bucket/a/../b/", ".."),
        ("s3://bucket/a//b/", "empty"),
        ("s3://buc ket/in/", "bucket"),
    ],
)
def test_paths_that_no_bucket_can_have_are_refused(path: str, part: str) -> None:
    with pytest.raises(ConfigError, match=r"path|bucket") as caught:
        validate(config.Source(type="s3", path=path), None, local_roots=())
    assert caught.value.field == "source.path"
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "credentials",
    [
        {"aws_access_key_id": "k"},
        {"aws_secret_access_key": "s"},
        {"aws_session_token": "t"},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "ambient": True},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "endpoint_url": "localhost:9000"},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "endpoint_url": "http://u:p@host"},
    ],
)
def test_credentials_that_cannot_work_are_refused_before_any_request(credentials: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config.Source(type="s3", path="s3://bucket/"), config.Credentials(**credentials), local_roots=())
    assert (caught.value.field or "").startswith("source.credentials")


def test_other_spellings_of_the_scheme_mean_the_same_store() -> None:
    for path in ("s3a://bucket/in", "s3n://bucket/in/", "S3://bucket/in/"):
        with closing(s3(path, endpoint_url=f"http://127.0.0.1:{free_port()}")) as source:
            assert repr(source) == "S3Source('s3://bucket/in/')"


def test_a_store_without_etags_has_versions_of_time_and_size() -> None:
    body = (
        b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>in/x</Key>"
        b"<LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag></ETag><Size>7</Size></Contents></ListBucketResult>"
    )
    with answering(200, body, Content_Type="application/xml") as url, closing(s3(endpoint_url=url)) as source:
        (file,) = list(source.list())
    assert file.version == "1767323045678000000-7"
    assert file.modified_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises((AccessError, TransientError)) as caught:
        s3(endpoint_url="https://no-such-host.invalid")
    assert caught.value.code in ("unknown_host", "name_not_resolved")
    assert socket.getdefaulttimeout() is None
